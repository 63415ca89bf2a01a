"""Kinds of models as their users write them, each with its loss and its batches."""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from trajmap.objective.losses import supervised

__all__ = ["KINDS", "Case", "Kind", "as_double", "valley"]


@dataclasses.dataclass
class Case:
    """A model with its loss and data."""

    model: nn.Module
    loss: Callable[[Any, Any], torch.Tensor]
    batches: Sequence[Any]
    count: Callable[[Any], float] = lambda batch: len(batch[0])  # of what the loss of a batch is the mean
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # what its user says to the objective


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a case is made; two makings are equal, and share nothing."""

    make: Callable[[], Case]
    group: str = ""  # of kinds that import the same slow library
    plain: Callable[[], Case] | None = None  # the same function in a simpler way, where autograd alone cannot judge
    half: bool = False  # its values are rounded to eight bits
    single: bool = False  # rounds to float32 inside whatever its format
    loops: bool = True  # a plain loop trains it


@dataclasses.dataclass
class Signal:
    """A batch of the user's own type."""

    wave: torch.Tensor
    target: torch.Tensor
    name: str = "signals"


def as_double(value: Any) -> Any:
    """Convert the floating tensors of a batch."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, Signal):
        return dataclasses.replace(value, wave=value.wave.double(), target=value.target.double())
    if isinstance(value, collections.abc.Mapping):
        return {key: as_double(item) for key, item in value.items()}
    return type(value)(map(as_double, value)) if isinstance(value, (tuple, list)) else value


def gaussians(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


def rows(n_in: int = 4, n_out: int = 3, sizes: Sequence[int] = (7, 5)) -> list[Any]:
    return [(gaussians(n, n_in), gaussians(n, n_out)) for n in sizes]


def images(classes: int = 3) -> list[Any]:
    return [(gaussians(n, 2, 8, 8), torch.randint(classes, (n,))) for n in (6, 4)]


MSE, CROSS_ENTROPY = supervised(functional.mse_loss), supervised(functional.cross_entropy)


def mlp() -> Case:
    return Case(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), MSE, rows())


def convolutional() -> Case:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(36, 3),
    )  # fmt: skip
    return Case(settled(model, images()), CROSS_ENTROPY, images())


def settled(model: nn.Module, batches: Sequence[Any]) -> nn.Module:
    """Let BatchNorm see some data, as after training."""
    with torch.no_grad():
        for x, _ in batches:
            model.train()(x)
    return model


class Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.n, self.m = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out)
        self.skip = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.m(self.b(functional.relu(self.n(self.a(x))))) + self.skip(x))


def residual() -> Case:
    model = nn.Sequential(Block(2, 4, 1), Block(4, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    return Case(settled(model, images()), CROSS_ENTROPY, images())


def sentences(sizes: Sequence[tuple[int, int]] = ((3, 6), (2, 5)), words: int = 19) -> list[Any]:
    """Token batches with padding to the right, whose labels there are −100."""
    found = []
    for n, length in sizes:
        ids, mask = torch.randint(1, words, (n, length)), torch.ones(n, length, dtype=torch.long)
        mask[0, -2:] = 0
        found.append({"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)})
    return found


def predicted_tokens(batch: Any) -> float:
    """A causal language model's loss leaves out the first label."""
    return float((batch["labels"][:, 1:] != -100).sum())


def own_loss(model: Any, batch: Any) -> torch.Tensor:
    return model(**batch).loss


def gpt2_model() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=19, n_positions=8, n_embd=8, n_layer=1, n_head=2))


def gpt2() -> Case:
    return Case(gpt2_model(), own_loss, sentences(), predicted_tokens)


def llama() -> Case:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=19, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=8)  # fmt: skip
    return Case(LlamaForCausalLM(config), own_loss, sentences(), predicted_tokens)


def lora() -> Case:
    import peft

    config = peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, lora_dropout=0.1,
                             init_lora_weights="gaussian")  # fmt: skip
    model = peft.get_peft_model(gpt2_model(), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero when new, where half of the gradient is zero
            nn.init.normal_(parameter, std=0.3)
    return Case(model, own_loss, sentences(), predicted_tokens)


def bert() -> Case:
    from transformers import BatchEncoding, BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=19, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
                        max_position_embeddings=8, num_labels=3)  # fmt: skip
    batches = []
    for batch in sentences():
        labels = torch.randint(3, (len(batch["labels"]),))
        batches.append(BatchEncoding({"attention_mask": batch["attention_mask"], "input_ids": batch["input_ids"],
                                      "labels": labels}))  # fmt: skip
    return Case(BertForSequenceClassification(config), own_loss, batches, lambda batch: len(batch["labels"]))


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.body, self.head = cell(3, 5, batch_first=True, num_layers=2, dropout=0.1), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)[0][:, -1])


def recurrent(cell: type[nn.RNNBase]) -> Case:
    return Case(Recurrent(cell), MSE, [(gaussians(n, 4, 3), gaussians(n, 2)) for n in (5, 3)])


class Packed(nn.Module):
    """Sequences of several lengths in one batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.body(packed)[1][0][-1])


def packed() -> Case:
    batches = [
        {"x": gaussians(n, 4, 3), "lengths": torch.arange(n) % 4 + 1, "y": gaussians(n, 2)} for n in (5, 3)
    ]  # fmt: skip
    loss = lambda m, b: functional.mse_loss(m(b["x"], b["lengths"]), b["y"])  # ruff: ignore[lambda-assignment]
    return Case(Packed(), loss, batches, lambda batch: len(batch["y"]))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.1, batch_first=True)
        self.embed, self.body, self.head = nn.Embedding(19, 8), nn.TransformerEncoder(layer, 2), nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        hidden = self.body(self.embed(ids), src_key_padding_mask=~keep)
        return self.head((hidden * keep[:, :, None]).sum(dim=1) / keep.sum(dim=1, keepdim=True))


def encoder() -> Case:
    batches = [(b["input_ids"], b["attention_mask"].bool(), gaussians(len(b["labels"]), 2)) for b in sentences()]
    options = {"weights": lambda batch: len(batch[0])}  # samples or unmasked words: only its user knows
    return Case(Encoder(), lambda m, b: functional.mse_loss(m(b[0], b[1]), b[2]), batches, options=options)


class Mixture(nn.Module):
    """Each sample goes to the two experts with the largest gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 4)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gates, chosen = self.gate(x).softmax(dim=1).topk(2, dim=1)
        out = x.new_zeros(len(x), 3)
        for k, expert in enumerate(self.experts):
            at, slot = (chosen == k).nonzero(as_tuple=True)
            out = out.index_add(0, at, gates[at, slot, None] * expert(x[at]))
        return out


def mixture() -> Case:
    return Case(Mixture(), MSE, rows())


def physics() -> Case:
    """u″ = −u with a value and a slope at zero."""
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def residual_loss(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_()
        u = m(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        bend = torch.autograd.grad(slope.sum(), x, create_graph=True)[0]
        return (bend + u).square().mean() + (m(torch.zeros_like(x[:1])) - 1).square().mean()

    return Case(model, residual_loss, list(torch.linspace(0, 3, 12)[:, None].split(7)), len)


def meta_learner() -> Case:
    """The loss after a step of descent: it differentiates by the parameters."""

    def after_a_step(m: Any, batch: Any) -> torch.Tensor:
        weights = dict(m.named_parameters())

        def at(tensors: Any, part: slice) -> torch.Tensor:
            return functional.mse_loss(torch.func.functional_call(m, tensors, (batch[0][part],)), batch[1][part])

        slopes = torch.autograd.grad(at(weights, slice(0, 3)), list(weights.values()), create_graph=True)
        moved = {name: w - 0.1 * slope for (name, w), slope in zip(weights.items(), slopes, strict=True)}
        return at(moved, slice(3, None))

    return Case(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), after_a_step, rows(sizes=(6, 6)))


def transformer() -> Case:
    """Two sequences, the second with a causal mask."""

    class Translation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.body = nn.Embedding(11, 8), nn.Transformer(8, 2, 1, 1, 12, batch_first=True)
            self.out = nn.Linear(8, 11)

        def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1]).to(self.out.weight.dtype)
            return self.out(self.body(self.embed(source), self.embed(target), tgt_mask=mask, tgt_is_causal=True))

    def loss(m: Any, batch: Any) -> torch.Tensor:
        return functional.cross_entropy(m(batch[0], batch[1]).flatten(0, 1), batch[2].flatten())

    batches = [tuple(torch.randint(11, (n, length)) for length in (5, 4, 4)) for n in (3, 2)]
    return Case(Translation(), loss, batches)


def pruned() -> Case:
    from torch.nn.utils import prune

    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    prune.l1_unstructured(model[0], "weight", 0.5)
    return Case(model, MSE, rows())


def weight_norm(*, legacy: bool) -> Case:
    norm: Any = nn.utils.weight_norm if legacy else nn.utils.parametrizations.weight_norm
    return Case(nn.Sequential(norm(nn.Linear(4, 6)), nn.Tanh(), norm(nn.Linear(6, 3))), MSE, rows())


def spectral_norm(*, legacy: bool) -> Case:
    norm: Any = nn.utils.spectral_norm if legacy else nn.utils.parametrizations.spectral_norm
    model = nn.Sequential(norm(nn.Linear(4, 6)), nn.Tanh(), nn.Linear(6, 3))
    return Case(settled(model, rows()), MSE, rows())


def orthogonal() -> Case:
    return Case(nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 3)), MSE,
                rows())  # fmt: skip


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(11, 6), nn.Linear(6, 6), nn.Linear(6, 11)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.mix(self.embed(ids))))


def tied() -> Case:
    return Case(Tied(), CROSS_ENTROPY, [(torch.randint(11, (n,)), torch.randint(11, (n,))) for n in (7, 5)])


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant: bool | None) -> None:
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 6), nn.Tanh()), nn.Linear(6, 3)
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = self.block(x) if self.reentrant is None else checkpoint(self.block, x, use_reentrant=self.reentrant)
        return self.last(x)


def checkpointed(*, reentrant: bool | None) -> Case:
    return Case(Checkpointed(reentrant=reentrant), MSE, rows())


def compiled() -> Case:
    return dataclasses.replace(case := mlp(), model=torch.compile(case.model, backend="eager"))


def parallel() -> Case:
    return dataclasses.replace(case := mlp(), model=nn.DataParallel(case.model))


def averaged() -> Case:
    return dataclasses.replace(case := convolutional(), model=torch.optim.swa_utils.AveragedModel(case.model))


def double() -> Case:
    case = mlp()
    return dataclasses.replace(case, model=case.model.double(), batches=[as_double(batch) for batch in case.batches])


class HalfBody(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 6).bfloat16(), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(x.to(self.body.weight.dtype))).to(self.head.weight.dtype))


def half_body() -> Case:
    return Case(HalfBody(), MSE, rows())


class Words(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(5, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        found = torch.tanh(self.body(ids))
        return self.head(found if found.ndim == 2 else found.mean(dim=1))


def words(layer: type[nn.Embedding] | type[nn.EmbeddingBag]) -> Case:
    batches = [(torch.randint(30, (n, 4)), torch.randint(3, (n,))) for n in (7, 5)]
    return Case(Words(layer(30, 5, sparse=True)), CROSS_ENTROPY, batches)


def group_norm() -> Case:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2), nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten(), nn.LayerNorm(36),
                          nn.PReLU(), nn.Linear(36, 3))  # fmt: skip
    return Case(model, CROSS_ENTROPY, images())


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = functional.silu(self.down(x))
        deep = functional.silu(self.deep(functional.max_pool2d(skip, 2)))
        return self.out(torch.cat([skip, self.up(deep)], dim=1))


def u_net() -> Case:
    batches = [(gaussians(n, 2, 8, 8), torch.randint(2, (n, 8, 8))) for n in (3, 2)]
    return Case(UNet(), CROSS_ENTROPY, batches)


class Variational(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 4), nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 4))

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        return self.decode(mean + noise * (log_variance / 2).exp()), mean, log_variance


def variational() -> Case:
    def bound(m: Any, batch: Any) -> torch.Tensor:
        x, noise = batch
        found, mean, log_variance = m(x, noise)
        prior = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return (found - x).square().sum(dim=1).mean() + prior

    return Case(Variational(), bound, rows(4, 2))


def adversaries() -> Case:
    """Generator and critic in one objective: the sum of their losses."""
    model = nn.ModuleDict({
        "g": nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)),
        "d": nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(0.2), nn.Linear(5, 1)),
    })

    def game(m: Any, batch: Any) -> torch.Tensor:
        noise, real = batch
        fake, softplus = m["g"](noise), functional.softplus
        return softplus(-m["d"](fake)).mean() + softplus(m["d"](fake)).mean() + softplus(-m["d"](real)).mean()

    return Case(model, game, rows(2, 3))


def lightning() -> Case:
    from lightning import LightningModule

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = functional.mse_loss(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return {"loss": loss}

    return Case(Module(), lambda m, b: m.training_step(b, 0)["loss"], rows())


def siamese() -> Case:
    """A contrast of each sample with all others of its batch: batches are of one size."""

    def contrast(m: Any, batch: Any) -> torch.Tensor:
        one, other = (functional.normalize(m(x), dim=1) for x in batch)
        return functional.cross_entropy(one @ other.T / 0.5, torch.arange(len(one)))

    return Case(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), contrast, rows(4, 4, (6, 6)))


def own_batches() -> Case:
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(18, 2))
    batches = [Signal(gaussians(n, 2, 8), gaussians(n, 2)) for n in (5, 3)]
    return Case(model, lambda m, b: functional.mse_loss(m(b.wave), b.target), batches, lambda batch: len(batch.wave))


class Causal(nn.Module):
    """A language model whose loss its user writes himself."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.heads = nn.Embedding(19, 8), nn.LayerNorm(8), nn.Linear(8, 24)
        self.out = nn.Linear(8, 19)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        q, k, v = self.heads(self.norm(x)).view(*ids.shape, 3, 2, 4).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(x + mixed.transpose(1, 2).flatten(2))


def token_mean() -> Case:
    def loss(m: Any, batch: Any) -> torch.Tensor:
        return functional.cross_entropy(
            m(batch["input_ids"]).flatten(0, 1), batch["labels"].flatten(), ignore_index=-100
        )

    batches = [{"input_ids": b["input_ids"], "labels": b["labels"]} for b in sentences()]
    return Case(Causal(), loss, batches, lambda batch: float((batch["labels"] != -100).sum()))


class Fourier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = torch.fft.fft2(functional.gelu(self.first(x))).real
        return self.last(mixed.mean(dim=1))


def fourier() -> Case:
    return Case(Fourier(), MSE, [(gaussians(n, 5, 4), gaussians(n, 2)) for n in (5, 3)])


class Scales(nn.Module):
    """Parameters without axes, beside a frozen one and one that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.tensor(-0.3))
        self.frozen = nn.Parameter(torch.full((4,), 0.7), requires_grad=False)
        self.unused, self.body = nn.Parameter(torch.ones(2)), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.tanh(self.body(self.frozen * x)) + self.shift


def scales() -> Case:
    return Case(Scales(), MSE, rows())


class Graph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(x))
        return self.last(hidden.index_add(0, edges[1], hidden[edges[0]]))


def graph() -> Case:
    batches = [(gaussians(n, 3), torch.randint(n, (2, 3 * n)), gaussians(n, 2)) for n in (6, 9)]
    options = {"weights": lambda batch: len(batch[0])}
    return Case(Graph(), lambda m, b: functional.mse_loss(m(b[0], b[1]), b[2]), batches, options=options)


def summed() -> Case:
    loss = supervised(lambda found, y: functional.mse_loss(found, y, reduction="sum"))
    return dataclasses.replace(mlp(), loss=loss, count=lambda batch: 1, options={"reduction": "sum"})


KINDS: dict[str, Kind] = {
    "mlp": Kind(mlp),
    "cnn with BatchNorm": Kind(convolutional),
    "resnet": Kind(residual),
    "gpt2": Kind(gpt2, "transformers"),
    "llama with grouped queries": Kind(llama, "transformers", single=True),
    "lora": Kind(lora, "transformers"),
    "bert": Kind(bert, "transformers"),
    "lstm": Kind(lambda: recurrent(nn.LSTM)),
    "gru": Kind(lambda: recurrent(nn.GRU)),
    "packed lstm": Kind(packed),
    "encoder with padding": Kind(encoder),
    "mixture of experts": Kind(mixture),
    "physics-informed": Kind(physics),
    "meta-learner": Kind(meta_learner),
    "transformer": Kind(transformer),
    "pruned": Kind(pruned),
    "weight norm, legacy": Kind(lambda: weight_norm(legacy=True)),
    "weight norm": Kind(lambda: weight_norm(legacy=False)),
    "spectral norm, legacy": Kind(lambda: spectral_norm(legacy=True)),
    "spectral norm": Kind(lambda: spectral_norm(legacy=False)),
    "orthogonal": Kind(orthogonal),
    "tied weights": Kind(tied),
    "checkpointed": Kind(lambda: checkpointed(reentrant=False), plain=lambda: checkpointed(reentrant=None)),
    "checkpointed, reentrant": Kind(lambda: checkpointed(reentrant=True), plain=lambda: checkpointed(reentrant=None)),
    "compiled": Kind(compiled),
    "data parallel": Kind(parallel),
    "averaged": Kind(averaged),
    "float64": Kind(double),
    "bfloat16 body": Kind(half_body, half=True),
    "sparse embedding": Kind(lambda: words(nn.Embedding)),
    "embedding bag": Kind(lambda: words(nn.EmbeddingBag)),
    "GroupNorm and LayerNorm": Kind(group_norm),
    "u-net": Kind(u_net),
    "variational": Kind(variational),
    "adversaries": Kind(adversaries),
    "lightning": Kind(lightning, "lightning"),
    "siamese": Kind(siamese),
    "batches of a dataclass": Kind(own_batches),
    "token mean": Kind(token_mean),
    "fourier": Kind(fourier),
    "scales": Kind(scales),
    "graph": Kind(graph),
    "sum": Kind(summed),
}


def valley(theta: np.ndarray) -> float:
    """Rosenbrock's valley and a wave, in NumPy."""
    a, b = theta[:-1], theta[1:]
    return float(np.sum(0.5 * (b - a**2) ** 2 + 0.1 * (1 - a) ** 2) + 0.3 * np.sin(theta.sum()))
