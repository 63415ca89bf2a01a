"""Checkpoints of every common kind become the run that made them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from trajmap.cli import main
from trajmap.data.checkpoints.files import find_checkpoints
from trajmap.errors import InputError, LayoutError
from trajmap.recording.checkpoints import from_checkpoints


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(4, 3, bias=False)
        self.norm = torch.nn.BatchNorm1d(3)
        self.decoder = torch.nn.Linear(4, 3, bias=False)
        self.decoder.weight = self.encoder.weight


@pytest.fixture(scope="module")
def states():
    """Twelve states of one model, so that 10 must come after 9."""
    torch.manual_seed(0)
    model = Tied()
    found = []
    for _ in range(12):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        found.append({name: value.clone() for name, value in model.state_dict().items()})
        found[-1]["decoder.weight"] = found[-1]["encoder.weight"]
    return found


def expected(states):
    names = ("encoder.weight", "norm.weight", "norm.bias")
    return np.stack([np.concatenate([state[name].numpy().ravel() for name in names]) for state in states])


def write_hf(folder, state, *, sharded):
    folder.mkdir()
    plain = {name: value.clone() for name, value in state.items()}
    if not sharded:
        save_file(plain, folder / "model.safetensors")
        return
    names = list(plain)
    shards = {"model-1.safetensors": names[:2], "model-2.safetensors": names[2:]}
    for shard, part in shards.items():
        save_file({name: plain[name] for name in part}, folder / shard)
    index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


WRITERS = {
    "pt": lambda folder, i, s: torch.save(s, folder / f"epoch{i}.pt"),
    "nested": lambda folder, i, s: torch.save({"epoch": i, "model_state_dict": s}, folder / f"net_{i}.pth"),
    "lightning": lambda folder, i, s: torch.save({"state_dict": s, "global_step": i}, folder / f"epoch={i}.ckpt"),
    "safetensors": lambda folder, i, s: save_file({n: v.clone() for n, v in s.items()}, folder / f"w{i}.safetensors"),
    "hugging face": lambda folder, i, s: write_hf(folder / f"checkpoint-{i}", s, sharded=False),
    "sharded": lambda folder, i, s: write_hf(folder / f"checkpoint-{i}", s, sharded=True),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind(kind, states, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for i, state in enumerate(states):
        WRITERS[kind](folder, 50 * i, state)
    run = from_checkpoints(folder, tmp_path / "run", model=Tied())
    np.testing.assert_array_equal(run.iterates, expected(states))
    assert run.steps.tolist() == [50 * i for i in range(12)]
    assert run.settings["left_out"] == []
    for i in (0, -1):
        for name, kept in run.buffers(i).items():
            np.testing.assert_array_equal(kept, states[i][name].numpy())
    assert set(run.buffers(0)) == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


def test_without_a_model(states, tmp_path):
    for i, state in enumerate(states):
        torch.save(state, tmp_path / f"{i}.pt")
    run = from_checkpoints(tmp_path, tmp_path / "run")
    assert run.layout.names == ("encoder.weight", "norm.weight", "norm.bias"), "a tied tensor once, no statistics"
    np.testing.assert_array_equal(run.iterates, expected(states))


def test_names_without_numbers_are_counted(states, tmp_path):
    paths = [tmp_path / name for name in ("a.pt", "b.pt", "c.pt")]
    for path, state in zip(paths, states, strict=False):
        torch.save(state, path)
    assert from_checkpoints(paths, tmp_path / "run").steps.tolist() == [0, 1, 2]
    assert find_checkpoints(tmp_path / "a.pt") == [tmp_path / "a.pt"]


def test_narrow_and_wide_numbers(tmp_path):
    for i in range(2):
        torch.save({"w": torch.full((3,), 1 / 3, dtype=torch.bfloat16)}, tmp_path / f"h{i}.pt")
        torch.save({"w": torch.full((3,), 1 / 3, dtype=torch.float64)}, tmp_path / f"d{i}.pth")
    assert from_checkpoints(sorted(tmp_path.glob("*.pt")), tmp_path / "h").iterates.dtype == np.float32
    wide = from_checkpoints(sorted(tmp_path.glob("*.pth")), tmp_path / "d")
    np.testing.assert_array_equal(wide.theta(0), 1 / 3)


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_no_code_runs(tmp_path, capsys):
    for i in range(2):
        torch.save({"w": torch.zeros(2), "extra": Evil()}, tmp_path / f"{i}.pt")
    run = from_checkpoints(tmp_path, tmp_path / "run")
    assert "code ran" not in capsys.readouterr().out
    assert run.layout.names == ("w",)


def test_worded_errors(states, tmp_path):
    for i, state in enumerate(states[:3]):
        torch.save(state, tmp_path / f"{i}.pt")
    with pytest.raises(InputError, match="at least 2 checkpoints, got 1"):
        from_checkpoints(tmp_path / "0.pt", tmp_path / "run")
    with pytest.raises(InputError, match="which does not exist"):
        from_checkpoints([tmp_path / "9.pt"], tmp_path / "run")
    torch.save({"encoder.weight": states[0]["encoder.weight"]}, tmp_path / "3.pt")
    with pytest.raises(LayoutError, match=r"3.pt: expected all parameters, got a checkpoint without 2 of them: norm"):
        from_checkpoints(tmp_path, tmp_path / "run")
    torch.save({**states[0], "norm.bias": torch.zeros(9)}, tmp_path / "3.pt")
    with pytest.raises(LayoutError, match=r"norm.bias of shape \(3,\), got shape \(9,\)"):
        from_checkpoints(tmp_path, tmp_path / "run")
    torch.save([1, 2], tmp_path / "3.pt")
    with pytest.raises(InputError, match="a list"):
        from_checkpoints(tmp_path, tmp_path / "run")
    torch.save({"epoch": 3}, tmp_path / "3.pt")
    with pytest.raises(InputError, match="which holds none"):
        from_checkpoints(tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists(), "nothing is written before every checkpoint has been looked at"


def test_from_the_shell(states, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for i, state in enumerate(states[:4]):
        torch.save(state, folder / f"{i}.pt")
    run = str(tmp_path / "run")
    assert main(["collect", run, str(folder)]) == 0
    assert "T = 4 iterates of P = 18 parameters" in capsys.readouterr().out
    assert main(["collect", run, str(folder)]) == 1
    assert "overwrite" in capsys.readouterr().err
    assert main(["collect", run, str(folder), "--overwrite"]) == 0
