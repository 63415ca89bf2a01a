"""Every experiment runs, and gives the numbers that it publishes, within the intervals of its ``published.toml``.

In quick mode here; ``make experiments`` runs them in full, against the numbers of ``experiments/README.md``.
"""

import importlib.util
import math
import os
import pathlib
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1] / "experiments"
EXPERIMENTS = sorted(ROOT.glob("*/run.py"))
BENCHMARKS = sorted(ROOT.glob("benchmarks/*.py"))  # they publish times, which belong to a machine
MODE = "long" if os.environ.get("TRAJMAP_EXPERIMENTS") == "long" else "quick"
of_each = pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.parent.name)


def numbers_of(path, out):
    spec = importlib.util.spec_from_file_location(f"experiment_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(out, seed=0, quick=MODE == "quick")


def published(path):
    return tomllib.loads(path.with_name("published.toml").read_text(encoding="utf-8"))


@pytest.mark.slow
@of_each
def test_experiment_gives_what_it_publishes(path, tmp_path):
    numbers, expected = numbers_of(path, tmp_path), published(path)[MODE]
    assert MODE == "long" or all(math.isfinite(value) for value in numbers.values())
    assert not set(expected) - set(numbers), "published, and not measured"
    outside = {
        key: f"{numbers[key]:.4g} is not in [{low}, {high}]"
        for key, (low, high) in expected.items()
        if not low <= numbers[key] <= high
    }
    assert not outside


@of_each
def test_intervals_say_something(path):
    tables = published(path)
    assert set(tables) == {"quick", "long"}
    for table in tables.values():
        assert table
        for key, (low, high) in table.items():
            assert math.isfinite(low) and math.isfinite(high) and low <= high, key


@pytest.mark.slow
@pytest.mark.skipif(MODE == "long", reason="benchmarks publish times, which belong to a machine")
@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda p: p.stem)
def test_benchmark_runs(path, tmp_path):
    numbers = numbers_of(path, tmp_path)
    assert numbers
    assert all(math.isfinite(value) for value in numbers.values())
