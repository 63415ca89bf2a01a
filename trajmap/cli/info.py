"""Print the content of a run folder or of a folder of checkpoints."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trajmap.cli._options import add_run
from trajmap.cli._progress import printable, say
from trajmap.data.checkpoints.files import bytes_of
from trajmap.data.store.buffers import BufferLayout
from trajmap.data.store.iterates import Iterates
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.kind import Context
from trajmap.kinds.listed import KINDS
from trajmap.report.sections import fill_command
from trajmap.report.standing import list_stale

__all__ = ["add_arguments", "run"]

GROUP, ORDER = "start", 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_run(parser)
    parser.add_argument("--verify", action="store_true", help="compare every number with its checksum")


def run(args: argparse.Namespace) -> None:
    """Print the run's size, seams, gaps, layers, scalars and settings."""
    trajectory = Trajectory.open(args.run_folder, verify=True if args.verify else None)
    T, P = trajectory.iterates.shape
    header = trajectory.header
    assert header is not None
    say(f"{args.run_folder}: T = {T} iterates of P = {P} parameters, {header.dtype}, {_kept(trajectory) / 1e6:.1f} MB")
    for line in (*_steps(trajectory), *_storage(trajectory), *_layers(trajectory), *_scalars(trajectory)):
        say(printable(line))  # a name with a line's end in it is one line
    for name, value in trajectory.settings.items():
        say(printable(f"  {name:<32} {value}"))
    for line in _results(trajectory, args.run_folder):
        say(printable(line))
    if args.verify and not trajectory.history.dropped:
        say("every file is there; checkpoints have no checksums" if header.checkpoints else "every checksum agrees")


def _results(trajectory: Trajectory, folder: Path) -> Iterator[str]:
    """List what verbs have made of the run, and what of it no longer belongs to it."""
    context = Context(trajectory, Artefacts.of(folder))
    there = [(kind, context.artefacts.names(kind)) for kind in KINDS if kind.place]
    stale = list_stale({kind: dict.fromkeys(names) for kind, names in there}, context)
    for kind, names in there:
        if names:
            yield f"  {kind.title:<32} {', '.join(filter(None, names)) or 'there'}"
    for one in stale:
        yield one.sentence(fill_command(one.kind, str(folder)))


def _kept(trajectory: Trajectory) -> int:
    """Bytes of the iterates' files."""
    if trajectory.header is not None and trajectory.header.checkpoints and isinstance(trajectory.iterates, Iterates):
        return sum(bytes_of(trajectory.iterates.row(i).file.path) for i in range(trajectory.n_iterates))
    return sum(file.stat().st_size for file in Path(trajectory.path or ".").rglob("*.safetensors"))


def _steps(trajectory: Trajectory) -> Iterator[str]:
    steps, history = trajectory.steps, trajectory.history
    strides = np.diff(steps)
    usual = int(np.bincount(strides).argmax())
    wide = np.flatnonzero(strides > usual)
    yield f"steps {steps[0]} to {steps[-1]}, mostly every {usual}"
    if len(wide):
        first = wide[0]
        yield f"{len(wide)} gaps, the first from step {steps[first]} to {steps[first + 1]}"
    for seam in history.seams:
        yield f"resumed from step {seam}"
    if history.superseded:
        yield f"{history.superseded} iterates on disk are superseded by a resumed run"
    if history.interval > 1:
        yield f"thinned to its budget: one of {history.interval} due iterates is kept"
    if history.unclosed:
        yield history.unclosed
    for entry in history.dropped:
        yield f"dropped {entry}"
    n_nonfinite = steps[~trajectory.is_finite]
    if len(n_nonfinite):
        yield f"NaN or inf in {len(n_nonfinite)} iterates, the first at step {n_nonfinite[0]}"


def _storage(trajectory: Trajectory) -> Iterator[str]:
    error = trajectory.scalars.get("delta16_error")
    if error is not None:
        worst = np.nanmax(error)
        yield f"stored as 16-bit differences: at most {worst:.1e} of a step is rounded away"
    if trajectory.header and trajectory.header.checkpoints:
        yield "checkpoints are read in place: the files must not change"
    sketch = trajectory.header.sketch if trajectory.header else None
    if sketch:
        deviation = 0.5 * (2 / sketch["size"]) ** 0.5
        yield (
            f"sketches of {sketch['n_parameters']} parameters (seed {sketch['seed']}): "
            f"a distance is right to {100 * deviation:.1f} % (one standard deviation)"
        )


def _layers(trajectory: Trajectory) -> Iterator[str]:
    for name, shape in zip(trajectory.layout.names, trajectory.layout.shapes, strict=True):
        yield f"  {name:<32} {'×'.join(map(str, shape)) or 'scalar'}"
    kept = trajectory.header.buffers if trajectory.header else BufferLayout()
    if kept.names:
        many = ", …" if len(kept.names) > 3 else ""
        yield f"  {len(kept.names)} buffers, {kept.nbytes} bytes an iterate: {', '.join(kept.names[:3])}{many}"


def _scalars(trajectory: Trajectory) -> Iterator[str]:
    for name, values in trajectory.scalars.items():
        given = values[np.isfinite(values)]
        ends = f"{given[0]:.4g} → {given[-1]:.4g}" if len(given) else "no finite value"
        yield f"  {name:<32} {ends}  ({len(given)} of {len(values)} finite)"
