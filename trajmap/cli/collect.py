"""Make a run folder of checkpoints: .pt, .safetensors, Lightning, Hugging Face, torch.distributed.checkpoint.

The other verbs also accept a folder of checkpoints; --link is for checkpoints that need --key or --select.
"""

import argparse
from pathlib import Path

from trajmap._validation import worded
from trajmap.cli._options import add_run
from trajmap.cli._progress import bar, say
from trajmap.errors import InputError
from trajmap.recording.checkpoints import DTYPES, from_checkpoints, link_checkpoints
from trajmap.recording.sketch import CountSketch

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "start", 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser, made=True)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="checkpoints, or one folder of them")
    parser.add_argument("--key", help="where the state dict is in a checkpoint, for example ema or state.model")
    parser.add_argument(
        "--select", metavar="GLOB", action="append", help="take only the parameters with these names; may be repeated"
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default="native", help="number format of the run folder (default: %(default)s)"
    )
    parser.add_argument(
        "--sketch",
        metavar="N",
        type=int,
        nargs="?",
        const=CountSketch.size,
        help="store N random sums of each checkpoint instead",
    )
    parser.add_argument("--link", action="store_true", help="copy nothing: refer to the checkpoints in place")
    parser.add_argument("--overwrite", action="store_true", help="replace the run folder")


def run(args: argparse.Namespace) -> None:
    """Copy the checkpoints' parameters, or refer to them, and list the taken and the omitted tensors."""
    paths = args.checkpoints if len(args.checkpoints) > 1 else args.checkpoints[0]
    if args.link:
        if args.dtype != "native" or args.sketch is not None:
            raise InputError(worded("--link", "the unchanged checkpoints", "--dtype or --sketch", "omit one of them"))
        found = link_checkpoints(paths, args.run_folder, key=args.key, select=args.select, overwrite=args.overwrite)
    else:
        sketch = None if args.sketch is None else CountSketch(size=args.sketch)
        with bar("collecting", "checkpoint") as progress:
            found = from_checkpoints(
                paths,
                args.run_folder,
                key=args.key,
                select=args.select,
                dtype=args.dtype,
                sketch=sketch,
                overwrite=args.overwrite,
                progress=progress,
            )
    say(f"{args.run_folder}: T = {found.n_iterates} iterates of P = {found.size} parameters")
    if "key" in found.settings:
        say(f"  taken from {found.settings['key']}")
    for name in found.settings["left_out"]:
        say(f"  left out: {name}")
