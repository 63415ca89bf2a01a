"""Progress bars for whatever takes longer than two seconds."""

import contextlib
import io
import sys
from collections.abc import Callable, Generator

from tqdm import tqdm

__all__ = ["bar", "every_letter", "printable", "say"]


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
    """Print a result line on stdout, above any bar that is running."""
    tqdm.write("\n".join(map(printable, text.split("\n"))), file=sys.stdout)
    sys.stdout.flush()


@contextlib.contextmanager
def bar(description: str, unit: str = "it") -> Generator[Callable[[int, int], None], None, None]:
    """Show a bar while a long call reports ``progress(done, total)``.

    Parameters
    ----------
    description : str
        What is going on.
    unit : str
        What is counted.

    Yields
    ------
    callable
        To be called with the work done and the whole work.
    """
    # on a terminal only: a log file has no use for it
    with tqdm(desc=description, unit=unit, delay=2.0, leave=False, disable=None, dynamic_ncols=True) as meter:

        def progress(done: int, total: int) -> None:
            meter.total = total
            meter.update(done - meter.n)

        yield progress
