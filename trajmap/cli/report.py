"""Write one self-contained HTML page about the whole run folder."""

import argparse
from pathlib import Path

from trajmap._optional import optional_import
from trajmap.cli._options import add_run
from trajmap.cli._progress import say
from trajmap.report.write import write_report

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "start", 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="default: report.html in the run folder")
    parser.add_argument(
        "--interactive", action="store_true", help="add surfaces that can be rotated with the mouse (adds 5 MB)"
    )


def run(args: argparse.Namespace) -> None:
    """Write the report and print where it is."""
    if args.interactive:
        optional_import("plotly.graph_objects", "interactive")
    say(str(write_report(args.run_folder, args.out, interactive=args.interactive)))
