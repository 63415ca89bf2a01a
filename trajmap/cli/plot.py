"""Draw all figures of the run folder's artefacts as PNG files."""

import argparse
from pathlib import Path

from trajmap.cli._options import add_run
from trajmap.cli._progress import bar, say
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.kind import Context
from trajmap.kinds.listed import KINDS
from trajmap.report.figures import draw_figures
from trajmap.report.write import gather

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "start", 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: artefacts/figures in the run folder")
    parser.add_argument(
        "--kinds", nargs="+", choices=tuple(kind.name for kind in KINDS if kind.plot is not None), metavar="KIND",
        help="draw only these, as landscape or edge (default: all there is)",
    )  # fmt: skip
    parser.add_argument("--dark", action="store_true", help="light figures on a dark background")


def run(args: argparse.Namespace) -> None:
    """Write one PNG a figure."""
    artefacts = Artefacts.of(args.run_folder)
    folder = args.out or artefacts.figures
    folder.mkdir(parents=True, exist_ok=True)
    with bar("figures", "figure") as progress:
        found = gather(Context(Trajectory.open(args.run_folder), artefacts))
        asked = {kind: nouns for kind, nouns in found.items() if args.kinds is None or kind.name in args.kinds}
        pictures = draw_figures(asked, dark=args.dark, progress=progress)
    for name, png in pictures.items():
        (folder / f"{name}.png").write_bytes(png)
        say(str(folder / f"{name}.png"))
