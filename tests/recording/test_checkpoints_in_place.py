"""Checkpoints are read where they lie: every format, the right tensors of each, and one iterate in memory at most."""

import json
import os
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file

from trajmap.cli import main
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError, RunFormatError
from trajmap.recording.checkpoints import from_checkpoints, link_checkpoints
from trajmap.recording.sketch import CountSketch

NAMES = ("0.weight", "0.bias", "1.weight", "1.bias")


def network():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def states(n=3, dtype=torch.float32):
    """State dicts of a network that moves, its statistics with it."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for i in range(n):
        state = network().state_dict()
        for name, tensor in state.items():
            if tensor.is_floating_point():
                state[name] = torch.randn(tensor.shape, generator=generator).to(dtype)
            else:
                state[name] = torch.tensor(7 * i)
        found.append(state)
    return found


def flat(state, names=NAMES):
    return torch.cat([state[name].reshape(-1).double() for name in names]).numpy()


def thetas(found, run):
    """What a run must read: safetensors lists tensors in an order of its own."""
    assert set(run.layout.names) == set(NAMES)
    return np.stack([flat(state, run.layout.names) for state in found])


def save_sharded(folder, state):
    folder.mkdir()
    names = list(state)
    shards = {"a.safetensors": names[:3], "b.safetensors": names[3:]}
    for shard, part in shards.items():
        save_file({name: state[name].contiguous() for name in part}, folder / shard)
    index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def save_numbered(folder, state):
    folder.mkdir()
    names = list(state)
    for i, part in enumerate((names[:2], names[2:]), start=1):
        save_file({name: state[name] for name in part}, folder / f"model-0000{i}-of-00002.safetensors")


def save_distributed(folder, state):
    optimizer = torch.optim.Adam(network().parameters())
    content = {"model": state, "optimizer": optimizer.state_dict(), "epoch": 3}
    save_alone(content, folder)


def save_alone(content, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells each time that it was told to save alone
        dcp.save(content, checkpoint_id=folder, no_dist=True)


def transposed_twice(tensor):
    return tensor.t().contiguous().t() if tensor.ndim == 2 else tensor


WRITERS = {
    "pt": lambda d, i, s: torch.save(s, d / f"{i}.pt"),
    "nested": lambda d, i, s: torch.save({"net": s, "optimizer": {"m": torch.ones(9)}}, d / f"{i}.pth"),
    "parameters": lambda d, i, s: torch.save({n: torch.nn.Parameter(t, False) for n, t in s.items()}, d / f"{i}.bin"),
    "strided": lambda d, i, s: torch.save({n: transposed_twice(t) for n, t in s.items()}, d / f"{i}.pt"),
    "safetensors": lambda d, i, s: save_file(s, d / f"{i}.safetensors"),
    "sharded": lambda d, i, s: save_sharded(d / f"checkpoint-{i}", s),
    "numbered": lambda d, i, s: save_numbered(d / f"checkpoint-{i}", s),
    "distributed": lambda d, i, s: save_distributed(d / f"step_{i}", s),
}  # fmt: skip


def write_all(kind, folder, found):
    folder.mkdir()
    for i, state in enumerate(found):
        WRITERS[kind](folder, 9 + i, state)
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_in_place(kind, dtype, tmp_path):
    found = states(dtype=dtype)
    folder = write_all(kind, tmp_path / "checkpoints", found)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for run in (from_checkpoints(folder), from_checkpoints(folder, model=network()), Trajectory.open(folder)):
        assert run.header.dtype == str(dtype).removeprefix("torch.")
        assert run.iterates.dtype == (np.float64 if dtype == torch.float64 else np.float32)
        assert run.steps.tolist() == [9, 10, 11]
        expected = thetas(found, run)
        np.testing.assert_array_equal(run.iterates[:], expected)
        np.testing.assert_array_equal(run.iterates[1:, 5:17], expected[1:, 5:17])
        chosen = run.select("1.*")
        np.testing.assert_array_equal(chosen.theta(2), flat(found[2], chosen.layout.names))
        for i, state in enumerate(found):
            kept = run.buffers(i)
            assert set(kept) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
            for name, array in kept.items():
                np.testing.assert_array_equal(array, state[name].double().numpy())
        run.iterates.verify()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before, "nothing is written"


@pytest.mark.parametrize("kind", ["pt", "sharded", "distributed"])
def test_copied_and_linked_runs_are_the_same(kind, tmp_path):
    found = states(dtype=torch.bfloat16)
    folder = write_all(kind, tmp_path / "checkpoints", found)
    copied = from_checkpoints(folder, tmp_path / "copied")
    linked = link_checkpoints(folder, tmp_path / "linked")
    assert [p.name for p in (tmp_path / "linked").iterdir()] == ["run.json"]
    again = Trajectory.open(tmp_path / "linked", verify=True)
    for run in (copied, linked, again):
        assert run.header.dtype == "bfloat16"
        np.testing.assert_array_equal(run.iterates[:], thetas(found, run))
        assert run.buffers(2)["1.num_batches_tracked"] == 14
    assert copied.steps.tolist() == again.steps.tolist() == [9, 10, 11]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "linked").rename(moved / "linked")
    (tmp_path / "checkpoints").rename(moved / "checkpoints")
    np.testing.assert_array_equal(Trajectory.open(moved / "linked").iterates[:], copied.iterates[:])


def test_a_linked_run_whose_checkpoint_is_gone(tmp_path):
    folder = write_all("safetensors", tmp_path / "checkpoints", states(4))
    link_checkpoints(folder, tmp_path / "linked")
    (folder / "10.safetensors").unlink()
    with pytest.warns(RuntimeWarning, match="dropped 1 damaged of 4 iterates: 10.safetensors: missing"):
        assert Trajectory.open(tmp_path / "linked").steps.tolist() == [9, 11, 12]


def test_a_file_that_changes_is_noticed(tmp_path):
    folder = write_all("pt", tmp_path / "checkpoints", states())
    run = from_checkpoints(folder)
    os.utime(folder / "10.pt", ns=(0, 0))
    np.testing.assert_array_equal(run.theta(0), flat(states()[0]))
    with pytest.raises(RunFormatError, match=r"10\.pt: expected the file that was opened, got a changed one"):
        run.theta(1)
    (folder / "11.pt").unlink()
    with pytest.raises(RunFormatError, match=r"11\.pt: expected a checkpoint, got No such file"):
        run.iterates.row(2).verify()


def test_every_bfloat16_pattern_in_place_and_copied(tmp_path):
    """NaN with its payload too: the copy holds the very bits, not those that rounding gives a NaN."""
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    for i, bits in enumerate((patterns, patterns.flip(0))):
        save_file({"w": bits.view(torch.bfloat16)}, tmp_path / f"{i}.safetensors")
    run = from_checkpoints(tmp_path)
    expected = patterns.numpy().view(np.uint16).astype(np.uint32) << 16
    np.testing.assert_array_equal(run.theta(0).view(np.uint32), expected)
    assert not run.is_finite.any()
    copied = from_checkpoints(tmp_path, tmp_path / "run")
    np.testing.assert_array_equal(copied.theta(1).view(np.uint32), expected[::-1])
    copied.iterates.verify()


PREFIXES = ("module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "net.body.")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_taken_off_for_a_model(prefix, tmp_path):
    for i, state in enumerate(states()):
        torch.save({prefix + name: value for name, value in state.items()}, tmp_path / f"{i}.pt")
    run = from_checkpoints(tmp_path, model=network())
    assert run.layout.names == NAMES
    np.testing.assert_array_equal(run.theta(2), flat(states()[2]))
    assert len(run.buffers(0)) == 3


def test_wrappers_within_names_and_only_when_all_have_them(tmp_path):
    tensors = {"a._orig_mod.w": torch.ones(2), "b.w": torch.ones(3), "module.c": torch.ones(4)}
    for i in range(2):
        torch.save(tensors, tmp_path / f"{i}.pt")
    assert from_checkpoints(tmp_path).layout.names == ("a.w", "b.w", "module.c")


def test_averages_are_named_or_left_alone(tmp_path):
    weights, averages = states(3), states(6)[3:]
    for i, (state, average) in enumerate(zip(weights, averages, strict=True)):
        torch.save({"model_ema": average, "state": {"model": state}}, tmp_path / f"{i}.pt")
    for model in (None, network()):
        np.testing.assert_array_equal(from_checkpoints(tmp_path, model=model).theta(1), flat(weights[1]))
        run = from_checkpoints(tmp_path, model=model, key="model_ema")
        np.testing.assert_array_equal(run.theta(1), flat(averages[1]))
        np.testing.assert_array_equal(
            from_checkpoints(tmp_path, model=model, key="state.model").theta(1), flat(weights[1])
        )


def test_averages_within_one_state_dict(tmp_path):
    """A Lightning module that holds both: the average is a prefix away from the weights."""
    for i, state in enumerate(states()):
        both = {f"model.{n}": t for n, t in state.items()} | {f"ema_model.{n}": t + 1 for n, t in state.items()}
        torch.save({"state_dict": both}, tmp_path / f"{i}.ckpt")
    np.testing.assert_array_equal(from_checkpoints(tmp_path, model=network()).theta(1), flat(states()[1]))
    plain = from_checkpoints(tmp_path)
    assert plain.layout.names == tuple(f"model.{name}" for name in NAMES)
    assert "ema_model.0.weight" in plain.settings["left_out"]
    averaged = from_checkpoints(tmp_path, model=network(), key="state_dict.ema_model")
    np.testing.assert_array_equal(
        averaged.theta(0), (states()[0]["0.weight"].new_tensor(flat(states()[0])) + 1).numpy()
    )


def test_only_averages_are_refused_and_an_averaged_model_warns(tmp_path):
    for i, state in enumerate(states()):
        torch.save({"ema": state, "epoch": i}, tmp_path / f"{i}.pt")
    with pytest.raises(InputError, match=r"expected the weights of a step, got ema; repair: name one, as key='ema'"):
        from_checkpoints(tmp_path)
    (tmp_path / "swa").mkdir()
    averaged = torch.optim.swa_utils.AveragedModel(network())
    for i in range(2):
        torch.save(averaged.state_dict(), tmp_path / "swa" / f"{i}.pt")
    with pytest.warns(RuntimeWarning, match="describe themselves as averages"):
        run = from_checkpoints(tmp_path / "swa", model=network())
    assert run.layout.names == NAMES


def test_what_cannot_be_chosen_is_listed(tmp_path):
    for i, state in enumerate(states()):
        torch.save({"generator": state, "critic": {"w": torch.ones(3)}, "epoch": 3}, tmp_path / f"{i}.pt")
    with pytest.raises(
        InputError, match="one dict of the model's tensors, got generator, critic; repair: .*'generator'"
    ):
        from_checkpoints(tmp_path)
    np.testing.assert_array_equal(from_checkpoints(tmp_path, model=network()).theta(1), flat(states()[1]))
    assert from_checkpoints(tmp_path, key="critic").size == 3
    with pytest.raises(InputError, match="key: expected one of generator, critic, epoch, got 'state'"):
        from_checkpoints(tmp_path, key="state")
    with pytest.raises(LayoutError, match="without 1 of them: w2; it has w"):
        model = torch.nn.Module()
        model.w2 = torch.nn.Parameter(torch.ones(3))
        from_checkpoints(tmp_path, key="critic", model=model)


def test_other_numbers_are_left_out_by_name(tmp_path):
    tensors = {"w": torch.ones(3), "mask": torch.ones(2, dtype=torch.bool), "c": torch.ones(2, dtype=torch.complex64)}
    for i in range(2):
        torch.save({**tensors, "f8": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / f"{i}.pt")
        save_file({"w": torch.ones(3), "i": torch.ones(2, dtype=torch.int32)}, tmp_path / f"{i}.safetensors")
    pts = from_checkpoints(sorted(tmp_path.glob("*.pt")))
    assert pts.layout.names == ("w",)
    assert pts.settings["left_out"] == ["mask", "c", "f8"]
    assert from_checkpoints(sorted(tmp_path.glob("*.safetensors"))).settings["left_out"] == ["i"]


def test_a_wider_number_in_a_later_checkpoint_is_not_rounded(tmp_path):
    save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "0.safetensors")
    save_file({"w": torch.full((2,), 1 / 3)}, tmp_path / "1.safetensors")
    for run in (from_checkpoints(tmp_path), from_checkpoints(tmp_path, tmp_path / "run")):
        assert run.header.dtype == "float32"
        np.testing.assert_array_equal(run.iterates[:], np.float32([[1, 1], [1 / 3, 1 / 3]]))


def test_tied_weights_under_either_name(tmp_path):
    """safetensors keeps one name of a pair, and not always the same."""
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2, bias=False), "b": torch.nn.Linear(2, 2, bias=False)})
    model["b"].weight = model["a"].weight
    save_file({"a.weight": torch.ones(2, 2)}, tmp_path / "0.safetensors")
    save_file({"b.weight": 2 * torch.ones(2, 2)}, tmp_path / "1.safetensors")
    run = from_checkpoints(tmp_path, tmp_path / "run", model=model)
    assert run.layout.names == ("a.weight",)
    np.testing.assert_array_equal(run.iterates[:], [[1] * 4, [2] * 4])
    np.testing.assert_array_equal(link_checkpoints(tmp_path, tmp_path / "l", model=model).iterates[:], run.iterates[:])


@pytest.mark.parametrize("shard", ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", ".."])
def test_an_index_that_leaves_its_folder_is_refused(shard, tmp_path):
    for i in range(2):
        (tmp_path / f"c{i}").mkdir()
        index = {"weight_map": {"w": shard}}
        (tmp_path / f"c{i}" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="shards next to their index"):
        from_checkpoints([tmp_path / "c0", tmp_path / "c1"])


def test_a_missing_shard_is_named(tmp_path):
    folder = write_all("numbered", tmp_path / "checkpoints", states())
    (folder / "checkpoint-10" / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"checkpoint-10.*model-00002-of-00002.safetensors: expected a file of weights"
    ):
        from_checkpoints(folder)


@pytest.mark.parametrize("cut", [1, 50, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_cut_files_are_refused_in_words(kind, cut, tmp_path):
    folder = write_all(kind, tmp_path / "checkpoints", states())
    path = sorted(folder.iterdir())[-1]
    whole = path.read_bytes()
    path.write_bytes(whole[: cut if isinstance(cut, int) else int(cut * len(whole))])
    with pytest.raises(InputError, match="which cannot be read as tensors"):
        from_checkpoints(folder)


def test_a_distributed_description_runs_no_code(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    for i in range(2):
        (tmp_path / f"c{i}").mkdir()
        (tmp_path / f"c{i}" / ".metadata").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match="which cannot be read as tensors"):
        from_checkpoints([tmp_path / "c0", tmp_path / "c1"])
    assert not (tmp_path / "ran").exists()


def test_blocks_of_a_distributed_tensor(tmp_path):
    """A tensor in four blocks along both dimensions, described as torch describes it, from two files."""
    from torch.distributed.checkpoint import metadata as described
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    whole = torch.arange(35.0).reshape(5, 7)
    for step in range(2):
        folder = tmp_path / f"step{step}"
        folder.mkdir()
        chunks, places = [], {}
        for i, (rows, columns) in enumerate([(a, b) for a in ((0, 3), (3, 5)) for b in ((0, 2), (2, 7))]):
            block = (whole + step)[slice(*rows), slice(*columns)].clone()
            name = f"__{i % 2}_0.distcp"
            with (folder / name).open("ab") as file:
                start = file.tell()
                torch.save(block, file)
                places[described.MetadataIndex("w", torch.Size((rows[0], columns[0])))] = _StorageInfo(
                    name, start, file.tell() - start
                )
            chunks.append(described.ChunkStorageMetadata(torch.Size((rows[0], columns[0])), block.shape))
        properties = described.TensorProperties(dtype=torch.float32)
        entry = described.TensorStorageMetadata(properties, whole.shape, chunks)
        import pickle

        (folder / ".metadata").write_bytes(pickle.dumps(described.Metadata({"w": entry}, None, places)))
    run = Trajectory.open(tmp_path)
    np.testing.assert_array_equal(run.iterates[:], np.stack([(whole + i).numpy().ravel() for i in range(2)]))
    for low in range(0, 35, 4):
        np.testing.assert_array_equal(run.iterates[1:, low : low + 6], whole.numpy().ravel()[None, low : low + 6] + 1)


def test_conversions_of_a_copy(tmp_path):
    folder = write_all("pt", tmp_path / "checkpoints", states())
    expected = np.stack([flat(state) for state in states()])
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        run = from_checkpoints(folder, tmp_path / dtype, dtype=dtype)
        rounded = torch.tensor(expected, dtype=torch.float32).to(getattr(torch, dtype)).double().numpy()
        assert run.header.dtype == dtype
        np.testing.assert_array_equal(run.iterates[:], rounded)
    deltas = from_checkpoints(folder, tmp_path / "delta", dtype="delta16")
    assert deltas.scalars["delta16_error"][1:].max() > 0
    np.testing.assert_allclose(deltas.iterates[:], expected, atol=1e-3)
    sketched = from_checkpoints(folder, tmp_path / "sketch", sketch=CountSketch(size=16), select="0.*")
    np.testing.assert_allclose(sketched.iterates[:], CountSketch(size=16).transform(np.float32(expected[:, :16])))
    with pytest.raises(InputError, match="float32 parameters for delta16, got bfloat16 ones"):
        from_checkpoints(tmp_path / "bfloat16" / "iterates", tmp_path / "no", dtype="delta16")
    with pytest.raises(InputError, match="path: expected a run folder to write, got none"):
        from_checkpoints(folder, dtype="bfloat16")
    with pytest.raises(InputError, match="steps: expected 3 steps, one per checkpoint, got 2"):
        from_checkpoints(folder, steps=[0, 1])
    assert from_checkpoints(folder, steps=[0, 5, 7]).steps.tolist() == [0, 5, 7]


def test_steps_are_read_from_names(tmp_path):
    for name in ("epoch=1-step=300-loss=0.50", "epoch=0-step=150-loss=0.75"):
        torch.save({"state_dict": {"w": torch.ones(2)}}, tmp_path / f"{name}.ckpt")
    assert from_checkpoints(tmp_path).steps.tolist() == [150, 300]


def test_the_output_folder_of_a_trainer(tmp_path):
    """Checkpoints beside the final weights and the trainer's own files."""
    for i, state in enumerate(states()):
        save_sharded(tmp_path / f"checkpoint-{500 * i}", state)
        torch.save({"state": {}}, tmp_path / f"checkpoint-{500 * i}" / "optimizer.pt")
    save_file(states()[-1], tmp_path / "model.safetensors")
    torch.save({"lr": 1}, tmp_path / "training_args.bin")
    assert Trajectory.open(tmp_path).steps.tolist() == [0, 500, 1000]


def test_from_the_shell(tmp_path, capsys):
    folder = write_all("distributed", tmp_path / "checkpoints", states(5))
    assert main(["info", str(folder), "--verify"]) == 0
    told = capsys.readouterr().out
    assert "T = 5 iterates of P = 24 parameters, float32" in told
    assert "3 buffers, 40 bytes an iterate" in told
    assert "every file is there; checkpoints have no checksums" in told
    linked = str(tmp_path / "linked")
    order = ["collect", linked, str(folder), "--key", "model", "--select", "0.*", "--select", "1.bias"]
    assert main([*order, "--link"]) == 0
    told = capsys.readouterr().out
    assert "T = 5 iterates of P = 20 parameters" in told
    assert "left out: 1.weight" in told
    assert main(["embed", linked, "--charts", "pca"]) == 0
    assert (tmp_path / "linked" / "artefacts").is_dir()
    assert main(["collect", str(tmp_path / "halves"), str(folder), "--dtype", "bfloat16"]) == 0
    assert main(["collect", str(tmp_path / "sketch"), str(folder), "--sketch", "32"]) == 0
    assert Trajectory.open(tmp_path / "halves").header.dtype == "bfloat16"
    assert Trajectory.open(tmp_path / "sketch").size == 32
    capsys.readouterr()
    assert main(["collect", str(tmp_path / "no"), str(folder), "--link", "--dtype", "bfloat16"]) == 1
    assert "--link: expected the unchanged checkpoints" in capsys.readouterr().err


def test_no_torch_is_needed(tmp_path):
    write_all("distributed", tmp_path / "d", states())
    write_all("pt", tmp_path / "p", states())
    write_all("sharded", tmp_path / "s", states())
    code = """
    import sys
    sys.modules["torch"] = None
    from trajmap.data.trajectory import Trajectory
    runs = [Trajectory.open(f"{sys.argv[1]}/{d}") for d in "dps"]
    print([float(run.layout.split(run.theta(1))["0.weight"][2, 1]) for run in runs])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told == [states()[1]["0.weight"][2, 1].item()] * 3


COLLECT = "from_checkpoints(folder, folder + '-run')"
ROWS = "[float(row[-1]) for row in from_checkpoints(folder).iterates]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "work", "most"),
    [
        # bytes a parameter: two slots of 2; one row of 4 here and one with the caller
        ("safetensors", COLLECT, 2 * 2),
        ("pt", COLLECT, 2 * 2),
        ("dcp", COLLECT, 2 * 2),
        ("safetensors", ROWS, 2 * 4),
        ("pt", ROWS, 2 * 4),
        ("dcp", ROWS, 2 * 4),
    ],
)
def test_copies_of_an_iterate_in_memory(kind, work, most, tmp_path):
    P = 20_000_000
    folder = tmp_path / "c"
    folder.mkdir()
    for i in range(4):
        state = {"a": torch.full((P // 2,), float(i), dtype=torch.bfloat16)}
        state["b"] = state["a"].reshape(1000, -1) + 1
        if kind == "safetensors":
            save_file(state, folder / f"{i}.safetensors")
        elif kind == "pt":
            torch.save(state, folder / f"{i}.pt")
        else:
            save_alone(state, folder / f"{i}")
    code = f"""
    import resource, sys, torch
    unit = 1 if sys.platform == "darwin" else 1024
    from trajmap.recording.checkpoints import from_checkpoints
    folder = sys.argv[1]
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    before = peak()
    {work}
    print((peak() - before) / {P})
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    told = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told < most + 1.5, f"{told} bytes a parameter"  # 30 MB of blocks and modules
