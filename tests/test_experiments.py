"""Every experiment runs in its quick mode and returns finite numbers."""

import importlib.util
import math
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1] / "experiments"
RUNS = sorted([*ROOT.glob("*/run.py"), *ROOT.glob("benchmarks/*.py")])


@pytest.mark.parametrize("path", RUNS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_experiment_runs(path, tmp_path):
    spec = importlib.util.spec_from_file_location(f"experiment_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    numbers = module.main(tmp_path, seed=0, quick=True)
    assert numbers
    assert all(math.isfinite(value) for value in numbers.values())
