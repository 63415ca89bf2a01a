"""Objectives of what other libraries make: their own training step, their wrappers, their adapters."""

import copy

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch

from trajmap.objective.objective import Objective

F = torch.nn.functional


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1))

    def training_step(self, batch, index):
        loss = F.mse_loss(self.net(batch[0]), batch[1]) + 0.01 * self.net[0].weight.square().sum()
        self.log("train/loss", loss)
        self.log_dict({"train/epoch": float(self.current_epoch)})
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fitted(data):
    torch.manual_seed(0)
    module = Module()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=16)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(module, loader)
    return module, trainer


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
@pytest.mark.parametrize("trained", [False, True])
def test_the_training_step_of_a_lightning_module(trained, recwarn):
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(32, 2, generator=generator), torch.randn(32, 1, generator=generator)
    module, trainer = fitted(data) if trained else (Module(), None)
    recwarn.clear()
    objective = Objective(module, lambda m, b: m.training_step(b, 0), [data])
    theta = objective.theta + np.float32(0.2)
    other = copy.deepcopy(module.net)
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), other.parameters())
    loss = F.mse_loss(other(data[0]), data[1]) + 0.01 * other[0].weight.square().sum()
    assert objective.value(theta) == pytest.approx(loss.item(), rel=1e-6)
    grads = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(other.parameters()))])
    np.testing.assert_allclose(objective.gradient(theta), grads, rtol=1e-4, atol=1e-6)
    assert not [w for w in recwarn if "log" in str(w.message)], "nothing is logged, without a word"
    assert module._trainer is trainer
    assert "log" not in vars(module)


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
def test_a_model_prepared_for_mixed_precision():
    accelerate = pytest.importorskip("accelerate")
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    expected = copy.deepcopy(plain)
    # another test of this process may have chosen another precision, which Accelerate keeps for all of a process
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    model = accelerate.Accelerator(cpu=True, mixed_precision="bf16").prepare(plain)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    x, y = torch.randn(64, 3), torch.randint(0, 2, (64,))
    objective = Objective(model, lambda m, b: F.cross_entropy(m(b[0]), b[1]), [(x, y)])
    theta = objective.theta + np.float32(1.0)
    torch.nn.utils.vector_to_parameters(torch.tensor(theta), expected.parameters())
    # bfloat16 keeps 8 bits
    assert objective.value(theta) == pytest.approx(F.cross_entropy(expected(x), y).item(), rel=0.02)
    assert np.abs(objective.gradient(theta)).max() > 0


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
def test_adapters_that_are_merged_or_not():
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    model = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["0"], init_lora_weights=False))
    x, y = torch.randn(16, 4), torch.randint(0, 2, (16,))
    objective = Objective(model, lambda m, b: F.cross_entropy(m(b[0]), b[1]), [(x, y)])
    theta = objective.theta * np.float32(1.5)
    a, b = (torch.tensor(part) for part in objective.layout.split(theta).values())
    layer = base[0].base_layer
    scale = model.peft_config["default"].lora_alpha / 2
    inner = torch.tanh(layer(x) + scale * x @ a.T @ b.T)
    assert objective.value(theta) == pytest.approx(F.cross_entropy(base[2](inner), y).item(), rel=1e-5)
    model.merge_adapter()
    with pytest.warns(UserWarning, match=r"loss: expected a function of the parameters"):
        Objective(model, lambda m, b: F.cross_entropy(m(b[0]), b[1]), [(x, y)])
