"""Arguments that several verbs share."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from trajmap.cli._parsing import CreatedFolder

__all__ = ["add_all", "add_charts", "add_objective", "add_run", "add_seed"]


def add_run(parser: argparse.ArgumentParser, *, made: bool = False) -> None:
    """Add the run folder: an existing one, or one that the verb creates."""
    text = (
        "the run folder to create" if made else "a run folder written by trajmap.Recorder, or a folder of checkpoints"
    )
    action = CreatedFolder if made else "store"
    parser.add_argument("run_folder", action=action, type=Path, metavar="RUN", help=text)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add the seed of everything random."""
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")


def add_objective(parser: argparse.ArgumentParser) -> None:
    """Add the user's loss."""
    parser.add_argument(
        "--objective",
        metavar="FILE.py:FUNCTION",
        help="a function without arguments that returns a trajmap.Objective; runs of the demo need none",
    )
    parser.add_argument("--device", help="device of the loss, such as cuda or cuda:1, unless the function sets it")


def add_all(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Add the flag for all options."""
    parser.add_argument("--all", action="store_true", help=help_text)


def add_charts(parser: argparse.ArgumentParser, charts: Sequence[str], default: Sequence[str]) -> None:
    """Add the choice of charts."""
    text = "all" if list(default) == list(charts) else ", ".join(default)
    parser.add_argument(
        "--charts",
        nargs="+",
        choices=charts,
        default=list(default),
        metavar="CHART",
        help=f"any of {', '.join(charts)} (default: {text})",
    )
