"""Train a small network on real data, run the complete analysis and write the report."""

import argparse
from pathlib import Path
from typing import Any

from trajmap.cli import (
    align,
    basin,
    claims,
    embed,
    hessian,
    lines,
    report,
    samples,
    score,
    sensitivity,
    surface,
    topology,
    walks,
)
from trajmap.cli._options import add_all, add_seed
from trajmap.cli._progress import bar, say
from trajmap.examples import digits

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "start", 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the runs (default: %(default)s)")
    parser.add_argument("--model", choices=list(digits.MODELS), default="mlp", help="default: %(default)s")
    parser.add_argument("--optimizer", choices=list(digits.OPTIMIZERS), default="sgd", help="default: %(default)s")
    parser.add_argument("--lr", type=float, help="learning rate (default: the optimizer's usual one)")
    parser.add_argument("--epochs", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--n", type=int, default=41, help="grid points per axis (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=99, help="random walks for the null (default: %(default)s)")
    add_all(parser, "run every verb with all its options")
    add_seed(parser)


def run(args: argparse.Namespace) -> None:
    """Record four runs, analyse the first with its sisters, and print the path of the report."""
    # name: (seed of the initialisation, seed of the batch order)
    runs = {"base": (0, 0), "sister-1": (0, 1), "sister-2": (0, 2), "other": (1, 0)}
    for name, (init, order) in runs.items():
        with bar(f"training {name}", "step") as progress:
            digits.train(
                args.out / name,
                model=args.model,
                optimizer=args.optimizer,
                lr=args.lr,
                epochs=args.epochs,
                batch_size=args.batch_size,
                init_seed=args.seed + init,
                order_seed=args.seed + order,
                progress=progress,
            )
    base = args.out / "base"
    say(f"recorded {', '.join(runs)} in {args.out}")
    sister = str(args.out / "sister-1")
    _call(embed, args, [])
    _call(score, args, ["--sister", sister, "--draws", str(args.draws), "--slow-draws", "2"])
    say("what is known of the run")
    _call(claims, args, ["--sister", sister])
    say("share of another run's variance that the base run's two principal components miss")
    for name in list(runs)[1:]:
        say(f"  {name:<12} {score.transfer(base, args.out / name, 'pca', args.seed):.4g}")
    say("loss over each chart")
    _call(surface, args, ["--n", str(args.n), "--sister", sister, "--held-out", "pca", "diffusion"])
    say("basins")
    others = [str(args.out / name) for name in ("sister-2", "other")]
    _call(basin, args, [*others, "--sister", sister, "--curve", "100"])
    say("Hessian along the run")
    _call(hessian, args, ["--edge", "--density", "--causal"] if args.all else [])
    say("tangent, gradient and step inside the top eigenspace (medians along the run)")
    _call(align, args, [])
    if args.all:
        _rest(args)
    _call(report, args, [])


def _rest(args: argparse.Namespace) -> None:
    """Run the verbs that the short demo leaves out."""
    say("loss over two planes mined for their shape")
    _call(surface, args, ["--charts", "saddle", "ring", "--n", str(args.n)])
    for verb, options in ((topology, ["--rings"]), (lines, []), (walks, []), (samples, []), (sensitivity, [])):
        say(str(verb.__doc__).splitlines()[0].rstrip("."))
        _call(verb, args, options)


def _call(verb: Any, args: argparse.Namespace, options: list[str]) -> None:
    """Run a verb on the base run as the command line would."""
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    seed = ["--seed", str(args.seed)] if "--seed" in parser.format_help() else []
    verb.run(parser.parse_args([str(args.out / "base"), *seed, *options]))
