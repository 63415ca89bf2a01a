"""Make a run folder of checkpoints: .pt, .pth, .ckpt, .safetensors, or Hugging Face checkpoint-* folders."""

import argparse
from pathlib import Path

from trajmap.cli._options import add_run
from trajmap.cli._progress import bar, say
from trajmap.recording.checkpoints import from_checkpoints

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="checkpoints, or one folder of them")
    parser.add_argument("--overwrite", action="store_true", help="replace the run folder")


def run(args: argparse.Namespace) -> None:
    """Copy the checkpoints' parameters and say what was left out."""
    paths = args.checkpoints if len(args.checkpoints) > 1 else args.checkpoints[0]
    with bar("collecting", "checkpoint") as progress:
        found = from_checkpoints(paths, args.run_folder, overwrite=args.overwrite, progress=progress)
    say(f"{args.run_folder}: T = {found.n_iterates} iterates of P = {found.size} parameters")
    for name in found.settings["left_out"]:
        say(f"  left out: {name}")
