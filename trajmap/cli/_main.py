"""Parse the command line, call the verb, and turn errors into one line and an exit status."""

import argparse
import inspect
import os
import sys
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path

from trajmap import __version__
from trajmap.cli import _output
from trajmap.cli._parsing import VerbParser, nearest
from trajmap.cli._progress import every_letter, printable
from trajmap.cli._verbs import GROUPS, load, names, verbs
from trajmap.errors import TrajmapError

__all__ = ["main", "make_parser"]

_FIRST = """\
trajmap: where did my optimizer go, and what is the landscape there?

  trajmap demo                                         train a small network and map its run
  trajmap claims RUN --objective my.py:make_objective  what is known of your own run
  trajmap report RUN                                   one page of everything that was found
  trajmap help                                         everything else

A run folder is written by trajmap.Recorder:

  with trajmap.Recorder(model, "RUN").attach(optimizer):
      train(model, optimizer)
"""
_STATUS = "Exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted."


def make_parser(name: str) -> VerbParser:
    """Build the parser of a verb.

    Parameters
    ----------
    name : str
        The verb; its file is imported.

    Returns
    -------
    VerbParser
        Its parser.
    """
    module = load(name)
    parser = VerbParser(
        prog=f"trajmap {name}", description=inspect.getdoc(module), epilog=_STATUS, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=module.run)
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
        Exit status: 0 done, 1 failed, 130 interrupted.

    Raises
    ------
    SystemExit
        With status 2, after wrong use.
    """
    with every_letter():
        return _answer(list(sys.argv[1:] if argv is None else argv))


def _answer(words: list[str]) -> int:
    if not words:
        print(_FIRST, end="")
        return 0
    # options of a verb may come before it: the first word that is no option is the verb
    place = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
    name = _of_options(words) if place is None else words[place]
    others = [word for i, word in enumerate(words) if i != place]
    if name == "version":
        print(f"trajmap {__version__}")
        return 0
    if name == "help":
        return _help([] if place is None else words[place + 1 :])
    if name not in names():
        print("usage: trajmap VERB RUN [options]", file=sys.stderr)
        print(f"trajmap: expected a verb, got {printable(name)}{nearest(name, names())}", file=sys.stderr)
        print("repair: trajmap help lists them", file=sys.stderr)
        raise SystemExit(2)
    parser = make_parser(name)
    return _run(name, parser, parser.read(others))


def _of_options(words: Sequence[str]) -> str:
    """Name the verb that options alone ask for; the first option itself where they ask for none."""
    if {"-V", "--version"} & set(words):
        return "version"
    return "help" if {"-h", "--help"} & set(words) else words[0]


def _run(name: str, parser: VerbParser, args: argparse.Namespace) -> int:
    plain = warnings.formatwarning
    # a warning is a remark on the user's run here, not on a line of our code
    warnings.formatwarning = lambda message, *_, **__: f"trajmap {name}: {printable(str(message))}\n"
    try:
        parser.require_inputs(args)
        with _output.chosen(name, args):
            args.run(args)
    except BrokenPipeError:
        # the reader, such as head, has stopped; Python would print another error when it closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (TrajmapError, OSError) as error:
        if args.debug:
            raise
        print(f"trajmap {name}: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"trajmap {name}: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except Exception as error:
        text = None if args.debug else _of_the_user(args, error)
        if text is None:
            raise
        print(f"trajmap {name}: {printable(text)}", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = plain
    return 0


def _of_the_user(args: argparse.Namespace, error: Exception) -> str | None:
    """Word an error that arose in the user's own loss or model; None for one of ours."""
    if not getattr(args, "objective", None):
        return None
    from trajmap.cli._objective import users_line

    return users_line(error, Path(args.objective.rpartition(":")[0]).resolve())


def _help(words: Sequence[str]) -> int:
    """Print the verbs by group, or the help of one."""
    if words and words[0] in names():
        make_parser(words[0]).print_help()
        return 0
    print("usage: trajmap VERB RUN [options]          trajmap help VERB shows the options\n")
    for group, title in GROUPS.items():
        members = [verb for verb in verbs().values() if verb.group == group]
        if not members:
            continue
        print(f"{title}:")
        for verb in members:
            first, *rest = textwrap.wrap(verb.summary, 100 - 16)
            print(f"  {verb.name:<13} {first}", *(f"{'':16}{line}" for line in rest), sep="\n")
        print()
    print(textwrap.fill(
        "Each verb reads a run folder, or a folder of checkpoints, and stores its result in RUN/artefacts, so the next "
        "verb needs no further arguments. Every verb takes --json, --quiet and --debug.", 100))  # fmt: skip
    print(_STATUS)
    return 0
