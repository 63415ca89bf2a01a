"""What is read of a folder that somebody has changed: right, or named and left out, in bounded time and memory."""

import json
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import time
import warnings
import zipfile

import numpy as np
import pytest
import torch

from trajmap.cli._main import main
from trajmap.data import memory
from trajmap.data.results.landscape import Grid
from trajmap.data.store.array_file import read_arrays, write_arrays
from trajmap.data.store.store import RunHeader, iterate_path
from trajmap.data.thinning import Thinning
from trajmap.data.trajectory import Trajectory
from trajmap.errors import RunFormatError
from trajmap.recording.recorder import Recorder


def record(folder, many=6, level=0.0, **options):
    model = torch.nn.Linear(3, 2)
    with Recorder(model, folder, **options) as recorder:
        for k in range(many):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.fill_(level + k)
            recorder.record({"loss": float(k)})
    return folder


def opened(folder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Trajectory.open(folder, **options)


@pytest.fixture
def run(tmp_path):
    return record(tmp_path / "run")


class TestWhoseItIs:
    def test_an_iterate_of_another_run(self, run, tmp_path):
        other = record(tmp_path / "other", level=100.0)
        shutil.copy(iterate_path(other, 3), iterate_path(run, 3))
        found = opened(run)
        assert found.history.dropped == ("000000000003: expected an iterate of this run, got one of another",)
        assert found.iterates[:, :1].ravel().tolist() == [0, 1, 2, 4, 5]

    def test_swapped_iterates(self, run):
        first, second = iterate_path(run, 2), iterate_path(run, 4)
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
        found = opened(run)
        assert [line.split(": ")[0] for line in found.history.dropped] == ["000000000002", "000000000004"]
        assert "got that of place 4" in found.history.dropped[0]
        assert found.steps.tolist() == [0, 1, 3, 5]

    def test_a_copied_run_is_the_same_run(self, run, tmp_path):
        shutil.copytree(run, tmp_path / "copy")
        assert Trajectory.open(tmp_path / "copy").n_iterates == 6

    def test_a_replaced_run_is_another(self, run):
        old = iterate_path(run, 3).read_bytes()
        record(run, overwrite=True)
        iterate_path(run, 3).write_bytes(old)
        assert opened(run).steps.tolist() == [0, 1, 2, 4, 5]


class TestVerifiedOnce:
    def damage(self, run, place=4):
        """Flip a bit of the last number in place."""
        with iterate_path(run, place).open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([byte[0] ^ 64]))

    def test_a_flip_is_found_by_default(self, run):
        self.damage(run)
        with pytest.warns(RuntimeWarning, match="000000000004: expected checksum"):
            assert Trajectory.open(run).n_iterates == 5
        assert Trajectory.open(run, verify=False).n_iterates == 6

    def test_what_agreed_is_remembered_until_it_changes(self, run, monkeypatch):
        monkeypatch.setattr(memory, "_SETTLED", 0.05)
        time.sleep(0.1)
        Trajectory.open(run)
        assert len(read_arrays(run / "verified.npz")["files"]) == 6
        read = []
        verify = memory.IterateFile.verify
        monkeypatch.setattr(memory.IterateFile, "verify", lambda file: read.append(file.path.stem) or verify(file))
        Trajectory.open(run)
        assert read == []
        self.damage(run)
        assert opened(run).n_iterates == 5
        assert read == ["000000000004"]
        opened(run, verify=True)
        assert len(read) == 7

    def test_a_file_that_was_just_written_is_not_remembered(self, run):
        """It could change again within one tick of the clock."""
        Trajectory.open(run)
        assert not (run / "verified.npz").exists()
        self.damage(run)
        assert opened(run).n_iterates == 5

    def test_a_clock_that_went_back_forgets(self, run, monkeypatch):
        monkeypatch.setattr(memory.time, "time", lambda: 1000.0)
        assert Trajectory.open(run).n_iterates == 6
        assert not (run / "verified.npz").exists()

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", None])
    def test_a_damaged_memory_is_none(self, run, content):
        if content is None:
            write_arrays(run / "verified.npz", {"files": np.array(["words"])})
        else:
            (run / "verified.npz").write_bytes(content)
        self.damage(run)
        assert opened(run).n_iterates == 5


class TestBounds:
    def test_a_stray_number_is_one_gap(self, run):
        iterate_path(run, 5).rename(iterate_path(run, 999_999_999_999))
        found = opened(run)
        assert found.history.dropped == (
            "000000000005 to 999999999998: missing",
            "999999999999: expected the iterate of this place, got that of place 5",
        )
        assert found.n_iterates == 5

    @pytest.mark.parametrize("name", ["notes", "5", "²²²²²²²²²²²²", "0000000000003"])
    def test_a_stray_name_is_named(self, run, name):
        (run / "iterates" / f"{name}.safetensors").write_bytes(iterate_path(run, 2).read_bytes())
        found = opened(run)
        assert found.history.dropped == (f"{name}: expected a name of twelve digits, got another",)
        assert found.n_iterates == 6

    def test_thinned_places_without_end(self):
        thinning = Thinning.parse({
            "below": 10**15,
            "interval": 2,
            "kept": [[0, 10**14, 2], [10**14 + 3, 10**14 + 9, 3]],
        })
        assert (thinning.drops(4), thinning.drops(5), thinning.drops(10**14 + 6), thinning.drops(10**14 + 7)) == (
            False, True, False, True,
        )  # fmt: skip
        assert thinning.stretches(3, 10**15 + 1) == [
            (4, 10**14), (10**14 + 3, 10**14 + 9), (10**15, 10**15 + 1),
        ]  # fmt: skip

    def test_thinned_places_are_those_that_a_set_would_hold(self):
        dice = np.random.default_rng(0)
        for _ in range(200):
            places = sorted(dice.choice(40, dice.integers(1, 20), replace=False).tolist())
            thinning = Thinning.of(places, below=40, interval=2)
            assert [p for p in range(40) if not thinning.drops(p)] == places
            low, high = sorted(dice.integers(0, 50, 2).tolist())
            ends = {p for p in range(low, high + 1) if p in places or p >= 40}
            found = thinning.stretches(low, high)
            assert {p for stretch in found for p in stretch} <= ends
            assert not ends or (min(ends), max(ends)) == (found[0][0], found[-1][1])

    @pytest.mark.parametrize("where", ["iterates/000000000003.safetensors", "artefacts/scores.npz", "verified.npz"])
    def test_a_pipe_is_not_waited_for(self, run, where):
        (run / "artefacts").mkdir()
        (run / where).unlink(missing_ok=True)
        os.mkfifo(run / where)
        code = f"""
            import signal, warnings; signal.alarm(30); warnings.simplefilter("ignore")
            from pathlib import Path
            from trajmap.data.trajectory import Trajectory
            from trajmap.data.results.landscape import Grid
            from trajmap.errors import RunFormatError
            print(Trajectory.open({str(run)!r}).n_iterates)
            try: Grid.open({str(run / "artefacts/scores.npz")!r})
            except RunFormatError: print("refused")
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["5" if "iterates" in where else "6", "refused"]

    def in_little_memory(self, code):
        """Run code in a process that may take half a gigabyte of addresses more than its start; what it prints."""
        if not pathlib.Path("/proc/self/statm").exists():
            pytest.skip("the addresses that a process has are read from /proc")
        head = """
            import resource, sys, warnings, numpy, zipfile
            from trajmap.data.trajectory import Trajectory
            from trajmap.data.results.landscape import Grid
            from trajmap.errors import RunFormatError
            warnings.simplefilter("ignore")
            pages = int(open("/proc/self/statm").read().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 2**29,) * 2)
        """
        command = [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return (done.stdout + done.stderr).strip()

    def test_a_long_header_is_not_read(self, run):
        """Of 95 MB, of which JSON would make gigabytes."""
        text = b'{"__metadata__": {}, "a": [' + b"[]," * 31_000_000 + b"[]]}"
        with iterate_path(run, 3).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + bytes(32))
        assert self.in_little_memory(f"print(Trajectory.open({str(run)!r}).n_iterates)") == "5"

    def test_an_artefact_that_unpacks_to_gigabytes(self, tmp_path):
        path = Grid((np.arange(3.0),)).save(tmp_path / "grid.npz")
        with zipfile.ZipFile(path) as archive:
            manifest = archive.read("manifest.json.npy")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("manifest.json.npy", manifest)
            with archive.open("axes/0.npy", "w", force_zip64=True) as file:
                head = {"descr": "<f8", "fortran_order": False, "shape": (3 * 2**27,)}
                np.lib.format.write_array_header_1_0(file, head)
                for _ in range(3 * 2**6):
                    file.write(bytes(2**24))
        assert path.stat().st_size < 50e6
        code = f"""
            try: Grid.open({str(path)!r})
            except RunFormatError as error: print(error)
        """
        assert "compressed arrays" in self.in_little_memory(code)

    @pytest.mark.parametrize("shape", [(2**40,), (2**31, 2**31, 2**31), (-3,), (2,)])
    def test_an_array_whose_shape_lies(self, tmp_path, shape):
        path = tmp_path / "x.npz"
        with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
            file.write(bytes(24))
        with pytest.raises(RunFormatError, match="expected an archive of arrays, got a damaged file"):
            read_arrays(path)

    def test_objects_are_never_made(self, tmp_path):
        np.savez(tmp_path / "x.npz", x=np.array([print], dtype=object))
        with pytest.raises(RunFormatError, match="objects, which would be executed"):
            read_arrays(tmp_path / "x.npz")

    def test_arrays_of_every_kind_come_back(self, tmp_path):
        given = {
            "a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.array(3), "c": np.zeros((0, 4)),
            "d": np.array(["é", "longer"]), "e": np.array([True]),
            "f/g": np.arange(3, dtype=np.int16), "h": np.array([], "U1"),
        }  # fmt: skip
        write_arrays(tmp_path / "x.npz", given)
        found = read_arrays(tmp_path / "x.npz")
        assert list(found) == list(given)
        for name, array in given.items():
            np.testing.assert_array_equal(found[name], array, strict=True)
            assert found[name].flags.writeable

    def test_many_tensors_are_parsed_once(self, tmp_path):
        """Ten thousand tensors: a header of 800 kB is compared, not read, so the JSON reader sees little of it."""
        model = torch.nn.ParameterList([torch.zeros(1) for _ in range(2000)])
        with Recorder(model, tmp_path / "run") as recorder:
            for _ in range(3):
                recorder.record()
        header = RunHeader.read(tmp_path / "run")
        assert len(header.listings["full"]) > 100_000
        path = iterate_path(tmp_path / "run", 1)
        content = path.read_bytes()
        assert content.count(header.expected["full"][0]) == 1, "which is how it is known again"
        text = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        other = json.dumps(text, indent=1).encode()  # another program's way to write the same
        path.write_bytes(
            len(other).to_bytes(8, "little") + other + content[8 + int.from_bytes(content[:8], "little") :]
        )
        assert Trajectory.open(tmp_path / "run").n_iterates == 3


class TestTheTerminal:
    NASTY = "x\x1b]0;owned\x07\r\n\u202ey"

    @pytest.mark.parametrize("verb", ["info", "score"])
    def test_no_control_characters_reach_it(self, tmp_path, capsys, verb):
        folder = tmp_path / "a\x1b[31m"
        model = torch.nn.Linear(3, 2)
        with Recorder(model, folder, settings={self.NASTY: self.NASTY}) as recorder:
            for _ in range(3):
                recorder.record({self.NASTY: 1.0})
        iterate_path(folder, 1).write_bytes(b"")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            main([verb, str(folder)])
        told = capsys.readouterr()
        assert not {"\x1b", "\x07", "\r", "\u202e"} & set(told.out + told.err)
        assert verb == "score" or "x\\x1b]0;owned\\x07\\r\\n\\u202ey" in told.out


def test_a_writer_that_left_is_told_by_info(run, capsys):
    from trajmap.data import owner as owning

    words = {**owning.dataclasses.asdict(owning.Owner.present()), "born": "1"}
    (run / "writer.json").write_text(json.dumps(words))
    assert main(["info", str(run)]) == 0
    assert "the last iterates may be missing" in capsys.readouterr().out


def save_often(path, level):
    for _ in range(150):
        Grid((np.full(500, level) + np.arange(500.0),)).save(path)


def test_two_verbs_that_write_one_artefact(tmp_path):
    """A reader sees the one or the other, whole, at any moment, and nothing is left beside them."""
    path = Grid((np.arange(500.0),)).save(tmp_path / "x.npz")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=save_often, args=(path, level)) for level in (0.0, 1000.0)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        axis = Grid.open(path).axes[0]
        assert axis[0] in {0.0, 1000.0}
        np.testing.assert_array_equal(axis, axis[0] + np.arange(500.0))
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_an_artefact_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = Grid((np.arange(3.0),)).save(tmp_path / "x.npz")

    def refuse(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        Grid((np.arange(9.0),)).save(path)
    assert Grid.open(path).shape == (3,)
    assert list(tmp_path.iterdir()) == [path]
