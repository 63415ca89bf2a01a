"""A fan is its runs, one below the other, read lazily, in one row space."""

import numpy as np
import pytest

from trajmap.data.fan import Fan
from trajmap.data.layout import Layout
from trajmap.data.store.iterates import Iterates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError, RunFormatError
from trajmap.reduction.rowspace import RowSpace

LAYOUT = Layout(("a", "b"), ((2,), (5,)))


def write(folder, thetas, layout=LAYOUT):
    Trajectory.of(thetas, layout=layout, steps=2 * np.arange(len(thetas))).save(folder)


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(0)
    clouds = {name: rng.normal(size=(n, 7)) for name, n in (("base", 4), ("sister", 3), ("third", 5))}
    for name, thetas in clouds.items():
        write(tmp_path / name, thetas)
    (tmp_path / "notes").mkdir()
    return tmp_path, clouds


def test_a_folder_of_runs(study):
    folder, clouds = study
    fan = Fan.open(folder)
    assert fan.names == ("base", "sister", "third")
    assert isinstance(fan.iterates, Iterates)
    np.testing.assert_array_equal(fan.iterates, np.concatenate(list(clouds.values())))
    np.testing.assert_array_equal(fan.iterates[:, 1:4], np.concatenate(list(clouds.values()))[:, 1:4])
    assert fan.labels.tolist() == [0] * 4 + [1] * 3 + [2] * 5
    assert fan.steps.tolist() == [0, 2, 4, 6, 0, 2, 4, 0, 2, 4, 6, 8]
    for name, thetas in clouds.items():
        np.testing.assert_array_equal(fan.iterates[fan.rows(name)], thetas)


def test_one_row_space_for_all(study):
    folder, clouds = study
    fan = Fan.open([folder / "third", folder / "base"])
    assert fan.names == ("third", "base")
    X = RowSpace().fit_transform(fan.iterates)
    both = np.concatenate([clouds["third"], clouds["base"]])
    np.testing.assert_allclose(np.linalg.norm(X[0] - X[6]), np.linalg.norm(both[0] - both[6]))


def test_runs_in_memory_and_of_two_formats(study):
    folder, clouds = study
    write(folder / "single", clouds["base"].astype(np.float32))
    mixed = Fan.open([folder / "base", folder / "single"])
    assert mixed.iterates.dtype == np.float64
    memory = Fan(("x",), (Trajectory.of(clouds["base"]),))
    np.testing.assert_array_equal(memory.iterates, clouds["base"])


def test_worded_errors(study, tmp_path):
    folder, clouds = study
    write(folder / "wider", np.zeros((3, 8)), Layout(("a", "b"), ((2,), (6,))))
    with pytest.raises(LayoutError, match=r"run wider: expected b of shape \(5,\), got \(6,\)"):
        Fan.open(folder)
    with pytest.raises(InputError, match="at least one run"):
        Fan.open(folder / "notes")
    with pytest.raises(RunFormatError, match="expected a run folder"):
        Fan.open([folder / "base", folder / "absent"])
    run = Trajectory.of(clouds["base"])
    with pytest.raises(InputError, match="distinct names"):
        Fan(("a", "a"), (run, run))
    with pytest.raises(InputError, match="name: expected one of a, got 'b'"):
        Fan(("a",), (run,)).rows("b")
