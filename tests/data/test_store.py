"""The files of a run: readable by others, whole or refused, and never taken for another run's."""

import errno
import json
import os
import struct
import subprocess
import sys
import zlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from trajmap.data.layout import Layout
from trajmap.data.store.store import Notes, RunHeader, iterate_path, read_iterate_file, write_iterate
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError, RunFormatError

LAYOUT = Layout(("w", "s", "none"), ((2, 3), (), (0, 4)))
HEADER = RunHeader(LAYOUT, "float64", {})
THETA = np.array([0.1, -0.0, np.nan, np.inf, 5e-324, 1e300, 7.0])


def bits(array):
    return np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_safetensors_library_reads_it(tmp_path, dtype):
    with np.errstate(over="ignore"):  # 1e300 is inf in float32
        theta = THETA.astype(dtype)
    path = tmp_path / "x.safetensors"
    header = RunHeader(LAYOUT, dtype, {})
    write_iterate(path, header, theta, Notes(4, {"loss": np.nan}))
    tensors = load_file(path)
    assert {name: t.shape for name, t in tensors.items()} == {"w": (2, 3), "s": (), "none": (0, 4)}
    assert bits(tensors["w"]) + bits(tensors["s"]) == bits(theta)
    entry = read_iterate_file(path, header)
    assert entry.notes.step == 4
    assert np.isnan(entry.notes.scalars["loss"])
    assert bits(np.fromfile(path, dtype, offset=entry.offset)) == bits(theta)
    assert entry.offset % 64 == 0, "numbers begin on an aligned byte"
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"], "nothing is left beside it"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    write_iterate(path, HEADER, THETA, Notes(0, {}))
    before = path.read_bytes()

    def refuse(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        write_iterate(path, HEADER, THETA, Notes(1, {}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "and nothing beside it"


def test_tensors_of_another_run_are_refused(tmp_path):
    """All of these have as many bytes as are expected, so that only the names, shapes and dtypes can tell."""
    path, layout = tmp_path / "x.safetensors", Layout(("a", "b"), ((2,), (4,)))
    others = [
        (Layout(("a", "c"), ((2,), (4,))), np.float32, 6),
        (Layout(("a", "b"), ((4,), (2,))), np.float32, 6),
        (Layout(("a", "b"), ((2,), (2, 2))), np.float32, 6),
        (Layout(("a", "b"), ((1,), (2,))), np.float64, 3),
    ]
    for other, dtype, size in others:
        foreign = RunHeader(other, np.dtype(dtype).name, {})
        write_iterate(path, foreign, np.zeros(size, dtype), Notes(0, {}))
        with pytest.raises(RunFormatError, match="tensors that run.json lists"):
            read_iterate_file(path, RunHeader(layout, "float32", {}))


def test_a_safetensors_file_without_our_notes_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"w": np.zeros((2, 3))}, path)
    with pytest.raises(RunFormatError, match="damaged header"):
        read_iterate_file(path, HEADER)


def test_any_flipped_bit_is_refused_or_harmless(tmp_path):
    """Step, scalars and numbers come back as they were, or not at all."""
    path, theta = tmp_path / "x.safetensors", np.arange(5.0)
    header = RunHeader(Layout(("a", "b"), ((2,), (3,))), "float64", {})
    notes = Notes(1, {"loss": 0.5}, seam=(0, 1))
    write_iterate(path, header, theta, notes)
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                entry = read_iterate_file(path, header)
                entry.verify()
            except RunFormatError:
                refused += 1
            else:
                np.testing.assert_array_equal(np.fromfile(path, np.float64, offset=entry.offset), theta)
                assert entry.notes == notes
    # what is let through are blanks that became other blanks
    assert refused > 0.98 * 8 * len(whole)


def test_any_flipped_bit_of_the_run_header_is_refused_or_harmless(tmp_path):
    header = RunHeader(LAYOUT, "float32", {"note": "é", "lr": 0.1})
    header.write(tmp_path)
    whole = (tmp_path / "run.json").read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            (tmp_path / "run.json").write_bytes(damaged)
            try:
                found = RunHeader.read(tmp_path)
            except RunFormatError:
                continue
            assert found == header


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def signed(notes):
    """Notes with a checksum that agrees: what a program wrote that is not ours."""
    words = json.dumps(notes, sort_keys=True).encode()
    return {**notes, "notes_crc32": str(zlib.crc32(words))}


@pytest.mark.slow
@hypothesis.settings(
    deadline=None, max_examples=400, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    st.binary(max_size=200)
    | st.builds(
        lambda notes, rest, tail: framed({**rest, "__metadata__": notes}) + tail,
        JSON
        | st.dictionaries(st.sampled_from(["step", "scalars", "crc32", "kind", "seam", "broken"]), JSON).map(signed),
        st.dictionaries(st.text(max_size=3), JSON, max_size=2),
        st.binary(max_size=60),
    )
)
def test_fuzzed_iterate_headers(tmp_path, content):
    """Whatever stands in an iterate's file, the answer is a worded refusal: no other error, no hang, no numbers."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunFormatError, match="expected"):
        read_iterate_file(path, HEADER)


@pytest.mark.slow
@hypothesis.settings(
    deadline=None, max_examples=400, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    st.binary(max_size=100)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(
        st.sampled_from(["names", "shapes", "dtype", "settings", "buffers", "sketch", "shards"]), JSON
    ).map(lambda words: forged({"format": "trajmap-run", "version": 1, **words}))
)
def test_fuzzed_run_headers(tmp_path, content):
    """A header that cannot be meant is refused in words, also when its checksum agrees."""
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises((RunFormatError, LayoutError), match="expected"):
        Trajectory.open(tmp_path)


def framed(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def forged(content):
    return json.dumps({**content, "crc32": str(zlib.crc32(json.dumps(content, sort_keys=True).encode()))}).encode()


@pytest.mark.parametrize("length", [0, 2**40, 2**63])
def test_absurd_header_lengths(tmp_path, length):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}" * 50)
    with pytest.raises(RunFormatError, match="damaged header"):
        read_iterate_file(path, HEADER)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '"run"', '{"format": "trajmap-run"}', "\x00"])
def test_damaged_run_headers(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunFormatError, match="damaged file"):
        RunHeader.read(tmp_path)


def test_run_header_round_trip(tmp_path):
    settings = {"lr": 0.1, "nested": {"é": [1, None, True]}}
    header = RunHeader(LAYOUT, "float64", settings)
    header.write(tmp_path / "deep" / "run")
    assert RunHeader.read(tmp_path / "deep" / "run") == header
    assert json.loads((tmp_path / "deep" / "run" / "run.json").read_text())["version"] == 1


def test_a_run_may_have_more_iterates_than_a_process_may_open_files(tmp_path):
    layout = Layout(("a",), ((3,),))
    header = RunHeader(layout, "float32", {})
    header.write(tmp_path)
    for i in range(80):
        write_iterate(iterate_path(tmp_path, i), header, np.full(3, i, np.float32), Notes(i, {}))
    code = (
        "import resource, sys, trajmap; run = trajmap.Trajectory.open(sys.argv[1]);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32));"
        "assert run.iterates[:].sum() == 3 * 79 * 80 / 2"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_files_that_change_after_opening_are_worded(tmp_path):
    layout = Layout(("a",), ((3,),))
    header = RunHeader(layout, "float32", {})
    header.write(tmp_path)
    for i in range(3):
        write_iterate(iterate_path(tmp_path, i), header, np.zeros(3, np.float32), Notes(i, {}))
    iterates = Trajectory.open(tmp_path).iterates
    victim = iterate_path(tmp_path, 1)
    victim.write_bytes(victim.read_bytes()[:-2])
    with pytest.raises(RunFormatError, match="expected 12 bytes of numbers, got 10"):
        iterates[1]
    victim.unlink()
    with pytest.raises(RunFormatError, match="got none since the run was opened"):
        iterates[:]


def test_indices_that_are_none_of_rows_and_columns(tmp_path):
    layout = Layout(("a",), ((3,),))
    header = RunHeader(layout, "float32", {})
    header.write(tmp_path)
    thetas = np.arange(12, dtype=np.float32).reshape(4, 3)
    for i, theta in enumerate(thetas):
        write_iterate(iterate_path(tmp_path, i), header, theta, Notes(i, {}))
    iterates = Trajectory.open(tmp_path).iterates
    for index in (None, (1, 2), (slice(None), [0, 1]), (1, 2, 3), (None, slice(None))):
        with pytest.raises(InputError, match="rows, or rows and a slice of columns"):
            iterates[index]
    for index in (slice(3, 1), [], [True, False, False, True], (1, slice(2, 2)), (slice(None), slice(3, 9))):
        np.testing.assert_array_equal(iterates[index], thetas[index])
        assert iterates[index].shape == thetas[index].shape
