"""The callbacks, each in a real training of its library on the CPU."""

import warnings

import numpy as np
import pytest
import torch

from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RecordingWarning
from trajmap.recording.recorder import Recorder
from trajmap.recording.selections import lora

# what the libraries themselves warn of is not ours to raise
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.xdist_group("integrations")]


def flat(model):
    return torch.cat([p.detach().reshape(-1).clone() for p in model.parameters()]).numpy()


class TestLightning:
    @pytest.fixture(autouse=True)
    def library(self):
        self.lightning = pytest.importorskip("lightning.pytorch")

    def module(self):
        lightning = self.lightning

        class Module(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 1))
                self.seen = []

            def training_step(self, batch, index):
                loss = self.net(batch[0]).square().mean()
                self.log("half", loss / 2, prog_bar=True)
                return loss

            def on_before_zero_grad(self, optimizer):
                self.seen.append(flat(self))

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=0.01)

        return Module()

    def fit(self, folder, *, epochs, callback, checkpoint=None, save=None, accumulate=1):
        data = torch.utils.data.TensorDataset(torch.randn(64, 4, generator=torch.Generator().manual_seed(0)))
        module = self.module()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = self.lightning.Trainer(
                max_epochs=epochs,
                accelerator="cpu",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                accumulate_grad_batches=accumulate,
                callbacks=[callback],
                default_root_dir=folder,
            )
            trainer.fit(
                module, torch.utils.data.DataLoader(data, batch_size=16), ckpt_path=checkpoint, weights_only=False
            )
            if save is not None:
                trainer.save_checkpoint(save)
        return module

    def test_every_optimizer_step_is_recorded(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        module = self.fit(tmp_path, epochs=2, callback=RecorderCallback(tmp_path / "run"))
        run = Trajectory.open(tmp_path / "run")
        assert run.steps.tolist() == list(range(9))
        np.testing.assert_array_equal(run.theta(-1), flat(module))
        np.testing.assert_array_equal(run.layout.names, [name for name, _ in module.named_parameters()])
        np.testing.assert_allclose(run.scalars["half"][1:], run.scalars["loss"][1:] / 2, rtol=1e-6)
        assert run.buffers(3)["net.1.num_batches_tracked"] == 3

    def test_accumulated_gradients_are_one_step(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        self.fit(tmp_path, epochs=2, callback=RecorderCallback(tmp_path / "run"), accumulate=2)
        assert Trajectory.open(tmp_path / "run").steps.tolist() == list(range(5))

    @pytest.mark.slow
    def test_resumed_from_a_checkpoint(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        def make_recorder(module, path, *, resume):
            return Recorder(module, path, resume=resume, norms=True)

        self.fit(tmp_path, epochs=4, callback=RecorderCallback(tmp_path / "straight", make_recorder=make_recorder))
        first = RecorderCallback(tmp_path / "run", make_recorder=make_recorder)
        self.fit(tmp_path, epochs=2, callback=first, save=tmp_path / "two.ckpt")
        second = RecorderCallback(tmp_path / "run", make_recorder=make_recorder)
        self.fit(tmp_path, epochs=4, callback=second, checkpoint=tmp_path / "two.ckpt")
        run, straight = Trajectory.open(tmp_path / "run"), Trajectory.open(tmp_path / "straight")
        assert run.steps.tolist() == list(range(17))
        assert run.history.seams == (8,)
        np.testing.assert_array_equal(run.iterates[:], straight.iterates[:])

    def test_an_error_keeps_what_was_recorded(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        class Stop(self.lightning.Callback):
            def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
                if trainer.global_step == 3:
                    raise RuntimeError("the power went")

        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(64, 4)), batch_size=8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = self.lightning.Trainer(
                max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                enable_model_summary=False, callbacks=[RecorderCallback(tmp_path / "run"), Stop()],
            )  # fmt: skip
            with pytest.raises(RuntimeError, match="the power went"):
                trainer.fit(self.module(), data)
        assert Trajectory.open(tmp_path / "run").steps.tolist() == [0, 1, 2, 3]

    def run(self, module, data, callbacks, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RecordingWarning)
            trainer = self.lightning.Trainer(
                accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                enable_model_summary=False, callbacks=callbacks, **options,
            )  # fmt: skip
            trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=2))

    def test_the_loss_is_the_mean_over_accumulated_batches(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        class Module(self.lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.shift = torch.nn.Parameter(torch.zeros(()))

            def training_step(self, batch, index):
                self.log("step", float(index))
                self.log("self", float(index))
                return (batch[0] + 0 * self.shift).mean()

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.1)

        # batches of 1, 2, 3, 4, 5, 6, 7: two steps of three batches, and one of the last
        data = torch.utils.data.TensorDataset(torch.arange(1.0, 8.0).repeat_interleave(2))
        self.run(Module(), data, [RecorderCallback(tmp_path / "run")], max_epochs=1, accumulate_grad_batches=3)
        run = Trajectory.open(tmp_path / "run")
        np.testing.assert_allclose(run.scalars["loss"], [np.nan, 2, 5, 7], rtol=1e-6)
        assert run.scalars["step"][1:].tolist() == [2, 5, 6], "a metric of that name is no obstacle"
        assert run.scalars["self"][1:].tolist() == [2, 5, 6]

    @pytest.mark.parametrize("norm", [False, True])
    @pytest.mark.parametrize("every", [1, 4])
    @pytest.mark.parametrize("kind", ["swa", "ema", "max_steps"])
    def test_an_average_is_not_the_last_iterate(self, tmp_path, kind, every, norm):
        from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging

        from trajmap.integrations.lightning import RecorderCallback

        lightning = self.lightning

        class Module(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                middle = torch.nn.BatchNorm1d(3) if norm else torch.nn.Tanh()
                self.net = torch.nn.Sequential(torch.nn.Linear(2, 3), middle, torch.nn.Linear(3, 1))

            def training_step(self, batch, index):
                return (self.net(batch[0]) - batch[1]).square().mean()

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), lr=0.3)

        def make_recorder(module, path, resume):
            return Recorder(module, path, resume=resume, every=every)

        class Spy(lightning.Callback):
            def on_train_epoch_end(self, trainer, pl_module):
                last.setdefault(trainer.current_epoch, flat(pl_module))

        last = {}
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(14, 2, generator=generator), torch.randn(14, 1, generator=generator)
        module = Module()
        averaging = (
            StochasticWeightAveraging(0.05, swa_epoch_start=1) if kind == "swa" else EMAWeightAveraging(decay=0.9)
        )
        ours = RecorderCallback(tmp_path / "run", make_recorder=make_recorder)
        until = {"max_epochs": 3} if kind != "max_steps" else {"max_steps": 10}
        self.run(module, torch.utils.data.TensorDataset(x, y), [Spy(), averaging, ours], **until)
        run = Trajectory.open(tmp_path / "run")
        trained = last[2 if kind != "max_steps" else 1]
        n = 21 if kind != "max_steps" else 10
        assert run.steps.tolist() == sorted({*range(0, n, every), n})
        np.testing.assert_array_equal(run.theta(-1), trained)
        assert np.abs(flat(module) - trained).max() > 1e-3, "the module ends with the average"
        assert f"after step {n}" in run.settings["ends"]

    def test_several_optimizers_of_one_module(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        class Module(self.lightning.LightningModule):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.automatic_optimization = False
                self.one, self.two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)

            def training_step(self, batch, index):
                for optimizer in self.optimizers():
                    self.toggle_optimizer(optimizer)
                    optimizer.zero_grad()
                    self.manual_backward(self.two(self.one(batch[0])).square().mean())
                    optimizer.step()
                    self.untoggle_optimizer(optimizer)

            def configure_optimizers(self):
                return torch.optim.SGD(self.one.parameters(), lr=0.1), torch.optim.Adam(self.two.parameters(), lr=0.01)

        module = Module()
        data = torch.utils.data.TensorDataset(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)))
        self.run(module, data, [RecorderCallback(tmp_path / "run")], max_epochs=1)
        run = Trajectory.open(tmp_path / "run")
        assert run.steps.tolist() == list(range(9))
        assert run.scalars["optimizer"][1:].tolist() == [0, 1] * 4
        moved = np.diff(run.select("one.*").iterates[:], axis=0).any(axis=1)
        assert moved.tolist() == [True, False] * 4
        np.testing.assert_array_equal(run.theta(-1), flat(module))

    def test_a_backbone_unfrozen_later_is_told(self, tmp_path):
        from lightning.pytorch.callbacks import BackboneFinetuning

        from trajmap.integrations.lightning import RecorderCallback

        class Module(self.lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.backbone, self.head = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)

            def training_step(self, batch, index):
                return self.head(self.backbone(batch[0])).square().mean()

            def configure_optimizers(self):
                return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)

        data = torch.utils.data.TensorDataset(torch.randn(8, 2))
        callbacks = [BackboneFinetuning(unfreeze_backbone_at_epoch=1), RecorderCallback(tmp_path / "run")]
        with pytest.warns(RecordingWarning, match="from step 5 on 2 parameters are trained .*backbone.weight"):
            trainer = self.lightning.Trainer(
                max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                enable_model_summary=False, callbacks=callbacks,
            )  # fmt: skip
            trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=2))
        assert Trajectory.open(tmp_path / "run").layout.names == ("head.weight", "head.bias")

    def test_a_taken_folder_is_told_in_lightnings_words(self, tmp_path):
        from trajmap.integrations.lightning import RecorderCallback

        self.fit(tmp_path, epochs=1, callback=RecorderCallback(tmp_path / "run"))
        with pytest.raises(InputError, match=r"path: .*holds a run; repair: .*ckpt_path=.*make_recorder=lambda"):
            self.fit(tmp_path, epochs=1, callback=RecorderCallback(tmp_path / "run"))

        def replace(model, path, resume):
            return Recorder(model, path, resume=resume, overwrite=True)

        self.fit(tmp_path, epochs=2, callback=RecorderCallback(tmp_path / "run", make_recorder=replace))
        assert Trajectory.open(tmp_path / "run").n_iterates == 9


class TestTransformers:
    @pytest.fixture(autouse=True)
    def library(self):
        self.transformers = pytest.importorskip("transformers")

    def model(self):
        torch.manual_seed(0)
        config = self.transformers.GPT2Config(
            vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
        )
        return self.transformers.GPT2LMHeadModel(config)

    def train(self, folder, model, callback, *, steps, resume=None, **options):
        tokens = torch.randint(0, 20, (32, 8), generator=torch.Generator().manual_seed(0))
        arguments = self.transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=4,
            learning_rate=1e-2,
            lr_scheduler_type="constant",
            logging_steps=1,
            save_steps=4,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            seed=0,
            **options,
        )
        data = [{"input_ids": row, "labels": row} for row in tokens]
        trainer = self.transformers.Trainer(model, arguments, train_dataset=data, callbacks=[callback])
        trainer.train(resume_from_checkpoint=resume)
        return model

    def test_every_optimizer_step_is_recorded(self, tmp_path):
        from trajmap.integrations.transformers import RecorderCallback

        callback = RecorderCallback(tmp_path / "run")
        model = self.train(tmp_path / "out", self.model(), callback, steps=5, gradient_accumulation_steps=2)
        run = Trajectory.open(tmp_path / "run")
        assert run.steps.tolist() == list(range(6))
        np.testing.assert_array_equal(run.theta(-1), flat(model))
        assert "lm_head.weight" not in run.layout.names, "tied to the embedding"
        assert np.isfinite(run.scalars["loss"][1:]).all()
        assert (run.scalars["learning_rate"][1:] == 1e-2).all()

    @pytest.mark.slow
    def test_resumed_from_a_checkpoint(self, tmp_path):
        from trajmap.integrations.transformers import RecorderCallback

        self.train(tmp_path / "a", self.model(), RecorderCallback(tmp_path / "straight"), steps=8)
        self.train(tmp_path / "b", self.model(), RecorderCallback(tmp_path / "run"), steps=6)
        again = self.model()
        resume = str(tmp_path / "b" / "checkpoint-4")
        self.train(tmp_path / "b", again, RecorderCallback(tmp_path / "run"), steps=8, resume=resume)
        run, straight = Trajectory.open(tmp_path / "run"), Trajectory.open(tmp_path / "straight")
        assert run.steps.tolist() == list(range(9))
        assert (run.history.seams, run.history.superseded) == ((4,), 2)
        np.testing.assert_allclose(run.iterates[:], straight.iterates[:], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("every", [1, 5])
    def test_the_best_checkpoint_is_not_the_last_iterate(self, tmp_path, every):
        from trajmap.integrations.transformers import RecorderCallback

        last = {}

        class Spy(self.transformers.TrainerCallback):
            def on_step_end(self, args, state, control, **given):
                last[state.global_step] = flat(given["model"])

        def make_recorder(model, path, resume):
            return Recorder(model, path, resume=resume, every=every)

        tokens = torch.randint(0, 20, (32, 8), generator=torch.Generator().manual_seed(0))
        data = [{"input_ids": row, "labels": row} for row in tokens]
        others = [{"input_ids": row, "labels": 19 - row} for row in tokens[:4]]  # it gets worse on these
        arguments = self.transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"), max_steps=7, per_device_train_batch_size=4, learning_rate=1e-2,
            logging_steps=1, eval_strategy="steps", eval_steps=1, save_steps=1, load_best_model_at_end=True,
            report_to=[], use_cpu=True, disable_tqdm=True, seed=0,
        )  # fmt: skip
        model = self.model()
        callbacks = [RecorderCallback(tmp_path / "run", make_recorder=make_recorder), Spy()]
        trainer = self.transformers.Trainer(
            model, arguments, train_dataset=data, eval_dataset=others, callbacks=callbacks
        )
        trainer.train()
        run = Trajectory.open(tmp_path / "run")
        assert run.steps.tolist() == sorted({*range(0, 7, every), 7})
        np.testing.assert_array_equal(run.theta(-1), last[7])
        assert np.abs(flat(model) - last[7]).max() > 1e-3, "the model ends with the best"
        assert "after step 7" in run.settings["ends"]

    @pytest.mark.slow
    def test_a_taken_folder_is_told_in_transformers_words(self, tmp_path):
        from trajmap.integrations.transformers import RecorderCallback

        self.train(tmp_path / "out", self.model(), RecorderCallback(tmp_path / "run"), steps=1)
        with pytest.raises(InputError, match=r"path: .*holds a run; repair: .*resume_from_checkpoint=.*make_recorder="):
            self.train(tmp_path / "out", self.model(), RecorderCallback(tmp_path / "run"), steps=1)

    def test_adapters_alone(self, tmp_path):
        peft = pytest.importorskip("peft")
        from trajmap.integrations.transformers import RecorderCallback

        def make_recorder(model, path, *, resume):
            return Recorder(model, path, resume=resume, select=lora)

        config = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
        adapted = peft.get_peft_model(self.model(), config)
        self.train(tmp_path / "out", adapted, RecorderCallback(tmp_path / "run", make_recorder=make_recorder), steps=3)
        run = Trajectory.open(tmp_path / "run")
        assert all("lora_" in name for name in run.layout.names)
        assert run.size == 2 * 8 + 2 * 24
        assert np.linalg.norm(np.diff(run.iterates[:], axis=0), axis=1).min() > 0


class TestAccelerate:
    @pytest.fixture(autouse=True)
    def library(self):
        self.accelerate = pytest.importorskip("accelerate")

    def train(self, folder, run, *, batches, save=None, load=None):
        from trajmap.integrations.accelerate import prepare_recorder

        torch.manual_seed(0)
        accelerator = self.accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
        model = torch.nn.Linear(4, 2)
        model, optimizer = accelerator.prepare(model, torch.optim.Adam(model.parameters(), lr=0.05))
        recorder = prepare_recorder(accelerator, model, run, resume=load is not None)
        if load is not None:
            accelerator.load_state(str(load))
        with recorder.attach(optimizer):
            for i in batches:
                x = torch.randn(8, 4, generator=torch.Generator().manual_seed(i))
                with accelerator.accumulate(model):
                    loss = model(x).square().mean()
                    accelerator.backward(loss)
                    optimizer.step()
                    optimizer.zero_grad()
                recorder.record({"loss": loss.item()})
            if save is not None:
                accelerator.save_state(str(save))
        return accelerator.unwrap_model(model)

    def test_recorded_and_resumed(self, tmp_path):
        self.train(tmp_path, tmp_path / "straight", batches=range(12))
        self.train(tmp_path, tmp_path / "run", batches=range(8), save=tmp_path / "state")
        trained = self.train(tmp_path, tmp_path / "run", batches=range(8, 12), load=tmp_path / "state")
        run, straight = Trajectory.open(tmp_path / "run"), Trajectory.open(tmp_path / "straight")
        assert run.steps.tolist() == list(range(7)), "two batches are one step"
        first, model = [], torch.nn.Linear(4, 2)
        for i in range(2):
            parts = run.layout.split(run.theta(0))
            model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in parts.items()})
            first.append(model(torch.randn(8, 4, generator=torch.Generator().manual_seed(i))).square().mean().item())
        np.testing.assert_allclose(run.scalars["loss"][1], np.mean(first), rtol=1e-6)
        np.testing.assert_array_equal(run.iterates[:], straight.iterates[:])
        np.testing.assert_array_equal(run.theta(-1), flat(trained))
        assert run.history.seams == (4,)
