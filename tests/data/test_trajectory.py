"""Opening a run: lazy, exact, without torch, and worded when something is wrong."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from trajmap.data.layout import Layout
from trajmap.data.store.store import Notes, RunHeader, iterate_path, write_iterate
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError, RunFormatError

LAYOUT = Layout(("a.weight", "a.bias", "b.weight"), ((2, 3), (2,), (4,)))


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    thetas = rng.normal(size=(9, LAYOUT.size)).astype(np.float32)
    header = RunHeader(LAYOUT, "float32", {"note": "x"})
    header.write(tmp_path)
    for i, theta in enumerate(thetas):
        scalars = {"loss": float(i)} if i % 2 else {"loss": float(i), "odd": np.inf}
        write_iterate(iterate_path(tmp_path, i), header, theta, Notes(3 * i, scalars))
    return tmp_path, thetas


def test_rows_columns_and_the_whole(run):
    path, thetas = run
    lazy = Trajectory.open(path).iterates
    assert lazy.shape == thetas.shape
    np.testing.assert_array_equal(np.asarray(lazy), thetas)
    np.testing.assert_array_equal(lazy[3], thetas[3])
    np.testing.assert_array_equal(lazy[-1], thetas[-1])
    np.testing.assert_array_equal(lazy[2:8:3], thetas[2:8:3])
    np.testing.assert_array_equal(lazy[[5, 1]], thetas[[5, 1]])
    np.testing.assert_array_equal(lazy[:, 4:9], thetas[:, 4:9])
    np.testing.assert_array_equal(lazy[1:3, 5:7], thetas[1:3, 5:7])
    np.testing.assert_array_equal(np.stack(list(lazy)), thetas)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy))[:], thetas)
    with pytest.raises(InputError, match="step 1"):
        lazy[:, ::2]
    with pytest.raises(IndexError):
        lazy[99]
    with pytest.raises(ValueError, match="copy"):
        np.asarray(lazy, copy=False)


def test_selections_agree_lazy_and_in_memory(run):
    path, thetas = run
    lazy = Trajectory.open(path)
    memory = Trajectory.of(thetas, steps=lazy.steps, scalars=lazy.scalars, layout=LAYOUT)
    for trajectory in (lazy, memory):
        narrow = trajectory.select("*.weight").thin(2)
        np.testing.assert_array_equal(narrow.iterates[:], thetas[::2, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]])
        np.testing.assert_array_equal(narrow.iterates[:, 5:8], thetas[::2, [5, 8, 9]])
        np.testing.assert_array_equal(narrow.select("b.*").iterates[:], thetas[::2, 8:])
        assert narrow.steps.tolist() == [0, 6, 12, 18, 24]
        np.testing.assert_array_equal(narrow.scalars["odd"], [np.inf] * 5)
        assert narrow.layout.names == ("a.weight", "b.weight")
        assert trajectory.take(trajectory.steps > 10).n_iterates == 5


def test_finite_drops_the_broken_rows(run):
    _, thetas = run
    broken = thetas.copy()
    broken[4, 2], broken[7, 0] = np.nan, -np.inf
    assert Trajectory.of(broken).finite().steps.tolist() == [0, 1, 2, 3, 5, 6, 8]


def test_reading_is_read_only(run):
    path, thetas = run
    trajectory = Trajectory.open(path)
    with pytest.raises(ValueError, match="read-only"):
        trajectory.steps[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        Trajectory.of(thetas).iterates[0, 0] = 5
    thetas[0, 0] = thetas[0, 0]  # the user's own array stays writable


def test_opening_needs_no_torch(run):
    look = f"trajmap.Trajectory.open({str(run[0])!r}).iterates[:]"
    code = f"import sys, trajmap; {look}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def rewrite(path, **changes):
    header = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**header, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "expected trajmap-run version 1, got trajmap-run version 2"),
        ({"format": "other"}, "got other version 1"),
        ({"dtype": "float8"}, "expected names, shapes, dtype"),
        ({"names": ["a"]}, "expected names, shapes, dtype"),
    ],
)
def test_foreign_headers(run, changes, message):
    rewrite(run[0], **changes)
    with pytest.raises(RunFormatError, match=message):
        Trajectory.open(run[0])


def test_damaged_iterates_are_left_out_and_named(run):
    path, thetas = run
    victim = iterate_path(path, 4)
    whole = victim.read_bytes()
    for content, reason in [
        (whole[:-1], r"000000000004: expected \d+ bytes, got"),
        (b"", "000000000004: expected an iterate, got a damaged header"),
        (whole[:40], "000000000004: expected an iterate, got a damaged header"),
        (b"\xff" * len(whole), "000000000004: expected an iterate, got a damaged header"),
        (None, "000000000004: missing"),
    ]:
        victim.write_bytes(content) if content is not None else victim.unlink()
        with pytest.warns(RuntimeWarning, match=f"dropped 1 damaged of 9 iterates: {reason}"):
            found = Trajectory.open(path)
        np.testing.assert_array_equal(found.iterates[:], np.delete(thetas, 4, axis=0))
        assert found.steps.tolist() == [0, 3, 6, 9, 15, 18, 21, 24]
        assert len(found.history.dropped) == 1
    (path / "run.json").write_text("{")
    with pytest.raises(RunFormatError, match="damaged file"):
        Trajectory.open(path)


def test_a_flipped_bit_is_found(run):
    path, thetas = run
    Trajectory.open(path, verify=True).iterates.verify()
    victim = iterate_path(path, 6)
    content = bytearray(victim.read_bytes())
    content[-3] ^= 1
    victim.write_bytes(content)
    with pytest.raises(RunFormatError, match=r"000000000006.*checksum"):
        Trajectory.open(path, verify=False).iterates.verify()
    with pytest.warns(RuntimeWarning, match=r"dropped 1 damaged of 9 iterates: 000000000006: expected checksum"):
        found = Trajectory.open(path)
    np.testing.assert_array_equal(found.iterates[:], np.delete(thetas, 6, axis=0))


def test_broken_rows_are_flagged_without_reading_the_others(run, tmp_path):
    _, thetas = run
    broken = thetas.copy()
    broken[4, 2], broken[7, 10] = np.nan, -np.inf
    Trajectory.of(broken, layout=LAYOUT).save(tmp_path / "broken")
    found = Trajectory.open(tmp_path / "broken")
    np.testing.assert_array_equal(found.is_finite, np.isfinite(broken).all(axis=1))
    np.testing.assert_array_equal(found.select("b.*").is_finite, np.isfinite(broken[:, 8:]).all(axis=1))
    iterate_path(tmp_path / "broken", 0).write_bytes(b"")  # not read, or this would be noticed
    assert found.is_finite.tolist() == [True] * 4 + [False] + [True] * 2 + [False, True]


def test_half_written_files_are_not_iterates(run):
    path, _ = run
    (path / "iterates" / "000000000009.safetensors.part").write_bytes(b"half")
    assert Trajectory.open(path).n_iterates == 9


def test_too_short(tmp_path, run):
    with pytest.raises(RunFormatError, match="expected a run folder"):
        Trajectory.open(tmp_path / "nowhere")
    for i in range(1, 9):
        iterate_path(run[0], i).unlink()
    with pytest.raises(InputError, match="at least 2 iterates, got 1"):
        Trajectory.open(run[0])
    with pytest.raises(InputError, match="at least 2 iterates"):
        Trajectory.of(np.zeros((1, 3)))


def test_wrong_shapes():
    thetas = np.zeros((4, 12))
    with pytest.raises(InputError, match="12 columns as in the layout, got 5"):
        Trajectory.of(np.zeros((4, 5)), layout=LAYOUT)
    with pytest.raises(InputError, match="strictly increasing"):
        Trajectory.of(thetas, steps=[0, 1, 1, 2])
    with pytest.raises(InputError, match=r"steps: expected shape \(4,\)"):
        Trajectory.of(thetas, steps=[0, 1])
    with pytest.raises(InputError, match="iterates: expected shape"):
        Trajectory.of(np.zeros(5))
    with pytest.raises(InputError, match="i: expected an integer"):
        Trajectory.of(thetas).theta(4)
    with pytest.raises(InputError, match="pattern: expected a match among a.weight"):
        Trajectory.of(thetas, layout=LAYOUT).select("c.*")


def test_layout():
    parts = LAYOUT.split(np.arange(12.0))
    assert [p.shape for p in parts.values()] == [(2, 3), (2,), (4,)]
    np.testing.assert_array_equal(LAYOUT.join(parts), np.arange(12.0))
    with pytest.raises(LayoutError, match=r"missing \['b.weight'\], unknown \['c'\]"):
        LAYOUT.join({"a.weight": parts["a.weight"], "a.bias": parts["a.bias"], "c": parts["a.bias"]})
    with pytest.raises(InputError, match=r"a.bias: expected shape \(2,\)"):
        LAYOUT.join({**parts, "a.bias": np.zeros(3)})
    with pytest.raises(LayoutError, match="objective: expected a.bias of shape"):
        LAYOUT.require(Layout(LAYOUT.names, ((2, 3), (3,), (4,))), "objective")
    with pytest.raises(LayoutError, match="distinct names"):
        Layout(("a", "a"), ((1,), (1,)))
    with pytest.raises(LayoutError, match="at least one"):
        Layout((), ())
    with pytest.raises(LayoutError, match="2 shapes"):
        Layout(("a", "b"), ((1,),))
    assert Layout(("s",), ((),)).size == 1


@pytest.mark.parametrize(
    ("names", "found"),
    [(("loss", "lr"), "loss"), (("val_loss", "train_loss"), "train_loss"), (("lr",), None), ((), None)],
)
def test_the_training_loss_is_the_scalar_called_so(names, found):
    run = Trajectory.of(np.eye(3), scalars={name: np.full(3, float(i)) for i, name in enumerate(names)})
    told = run.training_loss
    assert (told and told[0]) == found
    if found:
        np.testing.assert_array_equal(told[1], run.scalars[found])
