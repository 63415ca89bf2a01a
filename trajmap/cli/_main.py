"""Parse the command line, call the verb, and turn errors into one line and an exit status."""

import argparse
import sys
import warnings
from collections.abc import Sequence

from trajmap import __version__
from trajmap.cli import (
    align,
    basin,
    claims,
    collect,
    demo,
    embed,
    hessian,
    info,
    lines,
    plot,
    report,
    samples,
    score,
    sensitivity,
    surface,
    topology,
    walks,
)
from trajmap.cli._progress import every_letter, printable
from trajmap.errors import TrajmapError

__all__ = ["main"]

VERBS = (
    demo,
    collect,
    info,
    embed,
    score,
    claims,
    surface,
    hessian,
    align,
    basin,
    topology,
    lines,
    walks,
    samples,
    sensitivity,
    plot,
    report,
)

_EPILOG = """\
A run folder is what trajmap.Recorder writes. Each verb reads it and leaves its result in it, so the next verb
needs no more arguments:

  trajmap embed RUN && trajmap score RUN && trajmap surface RUN --objective my.py:make_objective
  trajmap hessian RUN --objective my.py:make_objective && trajmap align RUN --objective my.py:make_objective
  trajmap report RUN

Exit status: 0 done, 1 failed, 2 wrong use."""


def make_parser() -> argparse.ArgumentParser:
    """Build the parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="trajmap",
        description="Where did my optimizer go, and what is the landscape there?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"trajmap {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        name = verb.__name__.rpartition(".")[2]
        text = (verb.__doc__ or "").strip()
        child = verbs.add_parser(name, help=text.splitlines()[0], description=text)
        child.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.add_arguments(child)
        child.set_defaults(run=verb.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 done, 1 failed; wrong use leaves with 2.

    Raises
    ------
    TrajmapError
        Only with ``--debug``; otherwise it becomes one line on stderr.
    OSError
        As well.
    """
    with every_letter():
        return _run(make_parser().parse_args(argv))


def _run(args: argparse.Namespace) -> int:
    plain = warnings.formatwarning
    # a warning is a remark on the user's run here, not on a line of our code
    warnings.formatwarning = lambda message, *_, **__: f"trajmap {args.verb}: {printable(str(message))}\n"
    try:
        args.run(args)
    except (TrajmapError, OSError) as error:
        if args.debug:
            raise
        print(f"trajmap {args.verb}: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"trajmap {args.verb}: interrupted", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = plain
    return 0
