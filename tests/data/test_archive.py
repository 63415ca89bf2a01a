"""What a noun's file promises whatever is inside: plain arrays, no code, damage told in words."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from trajmap.data.archive import Saved
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.errors import InputError, RunFormatError

GRID = Grid((np.array([0.0, 1.0]),))


@dataclasses.dataclass(frozen=True, eq=False)
class Thing(Saved):
    value: object


def test_the_file_is_an_ordinary_archive_of_arrays(tmp_path):
    path = Landscape(GRID, np.array([1.0, np.nan])).save(tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["values"], [1.0, np.nan])
        np.testing.assert_array_equal(file["grid/axes/0"], [0.0, 1.0])


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "é", ["a", "b"], (), {}, {"a": 1, "b": {"c": "d"}}, (1, (2, "x"))],
    ids=repr,
)
def test_plain_values_come_back_as_they_were(tmp_path, value):
    again = Thing.open(Thing(value).save(tmp_path / "x.npz")).value
    assert again == value
    assert type(again) is type(value)


def test_numpy_scalars_become_numbers(tmp_path):
    assert Thing.open(Thing(np.float32(0.5)).save(tmp_path / "x.npz")).value == 0.5


CODE = [np.array([object()]), {"a": np.array([{}])}, object(), {1, 2}, (b"x",)]


@pytest.mark.parametrize("value", CODE, ids=range(len(CODE)))
def test_what_needs_code_is_refused_and_nothing_is_written(tmp_path, value):
    with pytest.raises(InputError, match="value"):
        Thing(value).save(tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


class Payload:
    """Touches a file when it is unpickled, as an attacker's object would."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return open, (self.target, "w")


def test_opening_runs_no_code(tmp_path):
    path, target = GRID.save(tmp_path / "x.npz"), tmp_path / "touched"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    payload = np.array([Payload(target)], dtype=object)
    np.savez(path, **{**arrays, "axes/0": payload})
    with pytest.raises(RunFormatError, match="damaged file"):
        Grid.open(path)
    assert not target.exists()


def rewrite(path, **changes):
    """Write the archive again with another manifest."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    manifest = {**json.loads(arrays["manifest.json"].tobytes()), **changes}
    arrays["manifest.json"] = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "expected trajmap-noun version 1, got trajmap-noun version 2; repair"),
        ({"format": "other"}, "got other version 1"),
        ({"kind": "Plane"}, "expected a Grid, got a Plane"),
        ({"fields": {}}, "expected the fields of a Grid"),
        ({"fields": {"axes": {"type": "array"}}}, "expected the fields of a Grid"),
        (
            {"fields": {"axes": {"type": "noun", "kind": "os.system", "fields": {}}}},
            "expected the fields of a Grid",
        ),
        ({"fields": {"axes": {"type": "tuple", "items": []}}}, "at least one axis"),
        ({"fields": 3}, "expected the fields of a Grid"),
    ],
)
def test_foreign_manifests(tmp_path, changes, message):
    path = GRID.save(tmp_path / "x.npz")
    rewrite(path, **changes)
    with pytest.raises(RunFormatError, match=message):
        Grid.open(path)


def test_archives_without_a_readable_manifest(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(RunFormatError, match="manifest, got none"):
        Grid.open(path)
    for text in (b"{", b"[1]", b"\xff\xfe"):
        np.savez(path, **{"manifest.json": np.frombuffer(text, np.uint8)})
        with pytest.raises(RunFormatError, match="manifest, got a damaged one"):
            Grid.open(path)
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(RunFormatError, match="damaged file"):
        Grid.open(tmp_path / "y.npy")


def test_any_flipped_bit_is_refused_or_harmless(tmp_path):
    path = GRID.save(tmp_path / "x.npz")
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        for bit in (0, 3, 7):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                again = Grid.open(path)
            except RunFormatError:
                refused += 1
            else:
                np.testing.assert_array_equal(again.axes, GRID.axes)
    with zipfile.ZipFile(GRID.save(path)) as archive:
        covered = sum(info.file_size for info in archive.infolist())
    assert refused >= 3 * covered, "every flip inside an array is under the archive's checksum"
