"""What a user's own type checker and editor see of trajmap."""

import ast
import importlib
import importlib.metadata
import inspect
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
import tomllib

import pytest

import trajmap
import trajmap.data
import trajmap.errors
from trajmap.data.archive import Saved

STUB = pathlib.Path(trajmap.__file__).with_suffix(".pyi")

RIGHT = """
import numpy as np
import torch
import trajmap

model = torch.nn.Linear(2, 1)
loss = trajmap.supervised(torch.nn.functional.mse_loss)
objective = trajmap.Objective(model, loss, [(torch.ones(4, 2), torch.ones(4, 1))])
run = trajmap.Trajectory.open("run")
grid = trajmap.Grid.around(np.zeros((3, 2)), n_points=5)
plane = trajmap.Plane(objective.theta, np.eye(2, 3))
land = trajmap.surface(objective, plane, grid, trajectory=run)
space = trajmap.top_eigenspace(objective, run.theta(-1), 2)
claim = trajmap.moved_with_direction(run)
axes = trajmap.plots.plot_landscape(land)
try:
    trajmap.persistence(land)
except trajmap.errors.InputError as error:
    raise SystemExit(str(error)) from error
reveal_type(land)
reveal_type(space)
reveal_type(claim)
reveal_type(claim.holds)
reveal_type(trajmap.surface)
"""

WRONG = """
import trajmap

trajmap.surface(1, 2, 3, nonsense=4)
trajmap.nonsense
trajmap.Claim("order matters", "large", None, ()).holds.sentence
"""


def checked(path, text):
    path.write_text(text)
    options = ["--strict", "--no-error-summary", "--cache-dir", str(path.parent / "cache"), "--follow-imports=silent"]
    line = [sys.executable, "-m", "mypy", *options, str(path)]
    # an editable install is found by a hook, which type checkers do not run
    where = {"MYPYPATH": str(STUB.parents[1])}
    found = subprocess.run(line, capture_output=True, text=True, check=False, cwd=path.parent, env=os.environ | where)
    return found.stdout


@pytest.mark.slow
def test_a_users_script_is_typed(tmp_path):
    right = checked(tmp_path / "right.py", RIGHT)
    assert "error" not in right, right
    for name in ("results.landscape.Landscape", "results.eigenspace.Eigenspace", "claim.Claim"):
        assert f'Revealed type is "trajmap.data.{name}"' in right
    assert 'Revealed type is "str"' in right.replace("builtins.", "")
    assert "objective: trajmap.objective.objective.Objective" in right

    wrong = checked(tmp_path / "wrong.py", WRONG).splitlines()
    assert any('"nonsense" for "surface"' in line for line in wrong)
    assert any('no attribute "nonsense"' in line for line in wrong)
    assert any('incompatible type "str"; expected "float"' in line for line in wrong)


def pyright(path, text):
    """What pyright, as basedpyright brings it without npm, says of a script: errors and revealed types."""
    path.write_text(text)
    settings = {"extraPaths": [str(STUB.parents[1])], "typeCheckingMode": "standard", "include": [path.name]}
    (path.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    line = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=path.parent)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        kind: [entry["message"] for entry in found if entry["severity"] == kind] for kind in ("error", "information")
    }


@pytest.mark.slow
def test_a_users_script_is_typed_for_pyright_as_well(tmp_path):
    right = pyright(tmp_path / "right.py", RIGHT)
    assert not right["error"]
    for text in ('Type of "land" is "Landscape"', 'Type of "space" is "Eigenspace"', 'Type of "claim" is "Claim"'):
        assert text in right["information"]
    assert any('Type of "trajmap.surface" is "(objective: Objective' in text for text in right["information"])

    (tmp_path / "right.py").unlink()
    wrong = pyright(tmp_path / "wrong.py", WRONG)["error"]
    assert any("nonsense" in text and "parameter" in text for text in wrong)
    assert any('"nonsense" is not a known attribute' in text for text in wrong)
    assert any("\"Literal['large']\" " in text and '"float"' in text for text in wrong)


def test_every_result_and_every_error_is_public():
    for module in pkgutil.iter_modules(trajmap.data.__path__):
        importlib.import_module(f"trajmap.data.{module.name}")
    nouns = {noun.__name__ for noun in Saved.__subclasses__() if noun.__module__.startswith("trajmap.")}
    assert nouns | set(trajmap.errors.__all__) <= set(trajmap.__all__)


def test_the_stub_names_what_is_there():
    """Each line of the stub is the name's own home, and every room is reachable."""
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            assert alias.asname == alias.name
            found = getattr(trajmap, alias.name)
            if node.module is None:
                assert inspect.ismodule(found)
            else:
                assert found.__module__ == f"trajmap.{node.module}", alias.name


def test_version_is_told_once():
    """pyproject.toml reads the package's own, so that the two cannot differ."""
    text = (pathlib.Path(trajmap.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)
    assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "trajmap.__version__"}
    assert importlib.metadata.version("trajmap") == trajmap.__version__
