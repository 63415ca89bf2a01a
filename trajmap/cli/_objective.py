"""Find the loss of a run: the user's own function, or the one of a shipped example."""

import argparse
import contextlib
import hashlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from trajmap._validation import worded
from trajmap.cli._progress import say
from trajmap.data.results.loss_check import LossCheck
from trajmap.data.stamp import Stamp
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, TrajmapError
from trajmap.examples import digits
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.loss_check import LOSS_CHECK
from trajmap.objective.identity import digest_data
from trajmap.objective.objective import Objective
from trajmap.objective.placement import default_device

__all__ = ["load_objective", "objective_digest", "objective_of", "users_line"]


def load_objective(spec: str | None, trajectory: Trajectory, device: str | None = None) -> Objective:
    """Make the objective of a run.

    Only ``--objective`` runs code of the user's choosing: a run folder can name a shipped example by its
    settings, never a file or a module.

    Parameters
    ----------
    spec : str or None
        ``FILE.py:FUNCTION``, or None for a run of a shipped example.
    trajectory : Trajectory
        The run; the objective must have its layout.
    device : str, optional
        Device of the loss, unless the function sets it.

    Returns
    -------
    Objective
        The loss of the run.

    Raises
    ------
    InputError
        If there is no such function, it returns something else, or none is given and the run is no example.
    LayoutError
        If the objective's parameters are not the run's.
    """
    with default_device(device):
        objective: Any = _of_example(trajectory) if spec is None else _call(spec)
    if not isinstance(objective, Objective):
        raise InputError(worded("--objective", "a function that returns a trajmap.Objective", objective))
    trajectory.layout.require(objective.layout, "objective")
    return objective


def objective_of(args: argparse.Namespace, trajectory: Trajectory) -> Objective:
    """Load the objective of a run with the recorded BatchNorm statistics, and compare it with the recorded loss.

    Parameters
    ----------
    args : argparse.Namespace
        With ``objective``, ``device`` and ``run_folder``.
    trajectory : Trajectory
        The run.

    Returns
    -------
    Objective
        The loss of the run.
    """
    objective = load_objective(args.objective, trajectory, args.device).for_run(trajectory)
    _compare(objective, trajectory, Artefacts.of(args.run_folder), objective_digest(args.objective, objective))
    return objective


def objective_digest(spec: str | None, objective: Objective) -> str:
    """Digest of a loss: of the file that makes it, the function's name, its parameters and some of its data.

    Parameters
    ----------
    spec : str or None
        ``FILE.py:FUNCTION``, or None for a shipped example.
    objective : Objective
        What the function returned.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(repr((objective.layout.names, objective.layout.shapes)).encode())
    if spec is not None:
        file, _, function = spec.rpartition(":")
        digest.update(function.encode() + b"\0" + Path(file).read_bytes())
    digest_data(digest, objective)
    return digest.hexdigest()[:16]


def _compare(objective: Objective, trajectory: Trajectory, artefacts: Artefacts, digest: str) -> None:
    """Print the objective at the end of the run and the recorded loss, and store both."""
    _, recorded = trajectory.training_loss or ("", np.empty(0))
    last = recorded[np.isfinite(recorded)][-20:]
    found = LossCheck(objective.value(trajectory.theta(-1)), last, objective.statistics)
    # written by every verb with a loss: its stamp names the loss used last
    artefacts.save(LOSS_CHECK, found, stamp=Stamp.of(trajectory, "loss check", objective=digest))
    say(f"  {found.text}")
    if not objective.frozen_statistics:
        say(f"  statistics of BatchNorm: {objective.statistics}")
    if found.agrees is False:
        say("  caution: these cannot be one function; check the data, the reduction and the model's state")


def _of_example(trajectory: Trajectory) -> Objective:
    example = trajectory.settings.get("example")
    if not isinstance(example, dict) or example.get("name") != "digits":
        raise InputError(
            worded(
                "--objective",
                "FILE.py:FUNCTION that returns a trajmap.Objective",
                "none",
                "write def make_objective(): return trajmap.Objective(model, loss, batches)",
            )
        )
    return digits.objective(model=str(example["model"]))


def _call(spec: str) -> Any:
    file, _, function = spec.rpartition(":")
    path = Path(file).resolve()
    if not file or not function or not path.is_file():
        raise InputError(worded("--objective", "FILE.py:FUNCTION with an existing file", repr(spec)))
    # a unique name, because it must not replace a package with the file's name
    module_spec = importlib.util.spec_from_file_location(f"objective_of_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise InputError(worded("--objective", "a Python file", repr(file)))
    module = importlib.util.module_from_spec(module_spec)
    with _beside(path.parent), _users_errors(path):
        sys.modules[module_spec.name] = module
        module_spec.loader.exec_module(module)
        make = getattr(module, function, None)
        if not callable(make):
            raise InputError(worded("--objective", f"a function {function} in {file}", "none"))
        return make()


@contextlib.contextmanager
def _beside(folder: Path) -> Generator[None, None, None]:
    """Import modules from a folder first, as Python does for a script in it.

    Modules of the same names from elsewhere step aside for the time, unless they belong to Python or to a package.
    """
    names = {entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").is_file()}
    aside = {name: module for name, module in sys.modules.items() if _steps_aside(name, module, names, folder)}
    for name in aside:
        del sys.modules[name]
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        sys.modules.update(aside)


def _steps_aside(name: str, module: ModuleType, names: set[str], folder: Path) -> bool:
    head, file = name.partition(".")[0], getattr(module, "__file__", None)
    if head not in names or head in sys.stdlib_module_names or head in {"trajmap", "__main__"} or file is None:
        return False
    installed = any(Path(file).is_relative_to(sysconfig.get_path(kind)) for kind in ("purelib", "platlib"))
    return not installed and not Path(file).is_relative_to(folder)


@contextlib.contextmanager
def _users_errors(path: Path) -> Generator[None, None, None]:
    """Return the line of the user's file in which an error arose."""
    try:
        yield
    except TrajmapError:
        raise
    except SystemExit as error:
        repair = 'put what the script does when it is run under if __name__ == "__main__"'
        raise InputError(worded("--objective", f"that {path.name} can be imported", "an exit", repair)) from error
    except Exception as error:
        # while the file is imported, an error without a line of it is still the file's
        raise InputError(users_line(error, path) or f"--objective: {path.name}: {error!r}") from error


def users_line(error: Exception, path: Path) -> str | None:
    """Word an error by the line of the user's own code in which it arose.

    Parameters
    ----------
    error : Exception
        What was raised.
    path : pathlib.Path
        The file of ``--objective``.

    Returns
    -------
    str or None
        File, line, error and the text of the line; None if none of the user's lines was running.
    """
    place, line = _place(error, path)
    if not place:
        return None
    got = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"--objective: {place}: {got}" + (f", in the line: {line}" if line else "")


def _place(error: Exception, path: Path) -> tuple[str, str]:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}", (error.text or "").strip()
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(path.parent) and "site-packages" not in frame.filename
    ]
    if not own:
        return "", ""
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}", (own[-1].line or "").strip()
