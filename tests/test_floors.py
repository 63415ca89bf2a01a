"""The oldest and the tested release of each dependency, as `make floors` and `make install` read them."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tools" / "floors.py"


@pytest.fixture(scope="module")
def floors():
    spec = importlib.util.spec_from_file_location("floors", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.floors


def write(folder, dependencies, **extras):
    listed = "\n".join(f"{name} = {lines!r}" for name, lines in extras.items())
    text = f'[project]\nname = "ours"\ndependencies = {dependencies!r}\n[project.optional-dependencies]\n{listed}\n'
    (folder / "pyproject.toml").write_text(text)
    return folder / "pyproject.toml"


def test_the_highest_floor_of_each_name(floors, tmp_path):
    file = write(tmp_path, ["a>=1.9", "b-c>=2"], extra=["a>=1.10", "d>=0.5.7"], dev=["ours[extra]", "a>=1.2"])
    assert floors(file) == {"a": "1.10", "b-c": "2", "d": "0.5.7"}


@pytest.mark.parametrize("line", ["a", "a==1.2", "a<3", "a>=1,<3"])
def test_a_dependency_without_a_plain_floor_is_refused(floors, tmp_path, line):
    with pytest.raises(ValueError, match="expected name>=floor, got another form; repair"):
        floors(write(tmp_path, [line], dev=[]))


def test_every_dependency_is_pinned_at_its_floor_or_above(floors):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): Version(release) for name, release in pins.items()}
    for name, floor in floors(ROOT / "pyproject.toml").items():
        assert pins[canonicalize_name(name)] >= Version(floor), name


def test_the_script_prints_constraints_and_replaces_one():
    command = [sys.executable, str(SCRIPT), "--replace", "torch==9.9"]
    lines = subprocess.check_output(command, text=True).splitlines()
    assert "torch==9.9" in lines
    assert len(lines) == len({line.split("==")[0] for line in lines})
    assert all(line.count("==") == 1 for line in lines)
