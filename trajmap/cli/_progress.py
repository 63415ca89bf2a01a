"""Result lines, and how far a long call is."""

import contextlib
import io
import sys
import time
from collections.abc import Callable, Generator

from tqdm import tqdm

from trajmap.cli._output import is_silent, keep

__all__ = ["bar", "every_letter", "printable", "say"]

_PAUSE = 10.0  # seconds between two lines in a log file


def printable(text: str) -> str:
    r"""Spell out what a terminal would obey instead of show: a run's names may be somebody else's.

    Parameters
    ----------
    text : str
        The text, of one line.

    Returns
    -------
    str
        The same with control characters, and those that turn the direction of writing, as Python spells them.

    Examples
    --------
    >>> print(printable("loss\x1b[31m λ"))
    loss\x1b[31m λ
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@contextlib.contextmanager
def every_letter() -> Generator[None, None, None]:
    """Let stdout and stderr spell out the letters that their encoding lacks, as a Greek one on a Windows console."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            stream.reconfigure(errors=errors)


def say(text: str = "") -> None:
    """Print a result line on stdout, above any bar that is running; see `trajmap.cli._output`."""
    if is_silent():
        keep(text)
        return
    tqdm.write("\n".join(map(printable, text.split("\n"))), file=sys.stdout)
    sys.stdout.flush()


@contextlib.contextmanager
def bar(description: str, unit: str = "it") -> Generator[Callable[[int, int], None], None, None]:
    """Show how far a long call is that reports ``progress(done, total)``.

    On a terminal this is a bar, from half a second on; elsewhere a line on stderr every ten seconds.

    Parameters
    ----------
    description : str
        What is done.
    unit : str
        What is counted.

    Yields
    ------
    callable
        To be called with the work done and the whole work.
    """
    if is_silent():
        yield lambda done, total: None
        return
    if not sys.stderr.isatty():
        yield _Lines(description, unit)
        return
    with tqdm(desc=description, unit=unit, delay=0.5, leave=False, dynamic_ncols=True) as meter:

        def progress(done: int, total: int) -> None:
            meter.total = total
            meter.update(done - meter.n)

        yield progress


class _Lines:
    """For a log file: how far the work is, and how long it will take, every ten seconds."""

    def __init__(self, description: str, unit: str) -> None:
        self._description, self._unit = description, unit
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _PAUSE or not 0 < done < total:
            return
        self._last = now
        left = (now - self._start) * (total - done) / done
        text = f"{self._description}: {done} of {total} {self._unit}s, {left:.0f} s left"
        print(printable(text), file=sys.stderr, flush=True)
