"""Find the loss of a run: the user's own function, or the one of a shipped example."""

import importlib.util
from pathlib import Path
from typing import Any

from trajmap._validation import worded
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.examples import digits
from trajmap.objective.objective import Objective

__all__ = ["load_objective"]


def load_objective(spec: str | None, trajectory: Trajectory) -> Objective:
    """Make the objective of a run.

    Only ``--objective`` runs code of the user's choosing: a run folder can name a shipped example by its
    settings, never a file or a module.

    Parameters
    ----------
    spec : str or None
        ``FILE.py:FUNCTION``, or None for a run of a shipped example.
    trajectory : Trajectory
        The run; the objective must have its layout.

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
    if spec is None:
        objective: Any = _of_example(trajectory)
    else:
        objective = _call(spec)
    if not isinstance(objective, Objective):
        raise InputError(worded("--objective", "a function that returns a trajmap.Objective", objective))
    trajectory.layout.require(objective.layout, "objective")
    return objective


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
    path = Path(file)
    if not file or not function or not path.is_file():
        raise InputError(worded("--objective", "FILE.py:FUNCTION with an existing file", repr(spec)))
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise InputError(worded("--objective", "a Python file", repr(file)))
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    if not callable(getattr(module, function, None)):
        raise InputError(worded("--objective", f"a function {function} in {file}", "none"))
    return getattr(module, function)()
