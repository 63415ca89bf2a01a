"""L is the loss of all data taken together, or a warning: a dumb loop over the joined data is the oracle."""

import collections
import dataclasses
import types

import numpy as np
import pytest
import torch

from trajmap.errors import InputError, WeightsWarning
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.objective.pieces import pieces_of
from trajmap.objective.samples import sample_losses
from trajmap.objective.sampling import standard_error

F = torch.nn.functional


def model_of(inputs=4, outputs=5, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Linear(inputs, outputs).double()


def tokens(n=10, length=6, seed=0):
    """Sequences of which some rows have few labels."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, length, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(5, (n, length), generator=generator)
    y[n // 2 :, 2:] = -100
    y[0, :3] = -100
    return x, y


def token_loss(model, batch):
    return F.cross_entropy(model(batch[0]).flatten(0, -2), batch[1].flatten())


def mean_of_means(loss, model, batches):
    return np.mean([loss(model, batch).item() for batch in batches])


def test_token_means():
    model, (x, y) = model_of(), tokens()
    batches = [(x[:5], y[:5]), (x[5:], y[5:])]
    truth = token_loss(model, (x, y)).item()
    objective = Objective(model, token_loss, batches)
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)
    assert abs(mean_of_means(token_loss, model, batches) - truth) > 1e-3
    whole = Objective(model, token_loss, [(x, y)])
    np.testing.assert_allclose(objective.gradient(objective.theta), whole.gradient(whole.theta), rtol=1e-10, atol=1e-14)


def test_a_last_layer_of_zeros_tells_too():
    model, (x, y) = model_of(), tokens()
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    objective = Objective(model, token_loss, [(x[:5], y[:5]), (x[5:], y[5:])])
    np.testing.assert_array_equal(objective.theta, 0)
    theta = np.linspace(-1, 1, objective.size)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(theta), model.parameters())
    assert objective.value(theta) == pytest.approx(token_loss(model, (x, y)).item(), rel=1e-12)
    assert objective.value(objective.theta) == pytest.approx(np.log(5), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_is_no_reason_to_warn(dtype):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 50), torch.nn.Tanh(), torch.nn.Linear(50, 5)).to(dtype)
    x = torch.randn(1000, 20).to(dtype)
    objective = Objective(model, lambda m, b: m(b).square().mean(), x.split(64))
    assert objective.parts.weights[-1] == pytest.approx(40 / 1000)


def test_labels_without_a_check_are_warned_of():
    x, y = tokens()
    with pytest.warns(WeightsWarning, match="samples and targets other than −100"):
        Objective(model_of(), token_loss, [(x[:5], y[:5]), (x[5:], y[5:])], check=False)


@pytest.mark.parametrize("shift", [0, 1])
def test_labels_as_hugging_face_has_them(shift):
    """A causal model predicts the next token: the first label of each row is not counted."""

    class Causal(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = model_of()

        def forward(self, inputs, labels):
            logits = self.head(inputs)[:, : labels.shape[1] - shift]
            loss = F.cross_entropy(logits.flatten(0, 1), labels[:, shift:].flatten())
            return types.SimpleNamespace(loss=loss, logits=logits)

    model, (x, y) = Causal(), tokens()
    y[:, 0] = torch.where(torch.arange(10) % 3 == 0, -100, y[:, 0])
    # padded to the longest of each batch
    cuts = [(0, 3, 6), (3, 5, 5), (5, 10, 4)]
    batches = [{"inputs": x[a:b, :n], "labels": y[a:b, :n]} for a, b, n in cuts]
    joined = y.clone()
    joined[3:5, 5:] = -100
    objective = Objective(model, lambda m, b: m(**b).loss, batches)
    assert objective.value(objective.theta) == pytest.approx(model(x, joined).loss.item(), rel=1e-12)


def test_labels_one_a_sample():
    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = model_of()

        def forward(self, inputs, labels):
            return types.SimpleNamespace(loss=F.cross_entropy(self.head(inputs.mean(1)), labels))

    model, (x, _) = Pooled(), tokens()
    y = torch.arange(10) % 5
    batches = [{"inputs": x[:7, :5], "labels": y[:7]}, {"inputs": x[7:], "labels": y[7:]}]
    truth = (7 * model(x[:7, :5], y[:7]).loss + 3 * model(x[7:], y[7:]).loss).item() / 10
    objective = Objective(model, lambda m, b: m(**b).loss, batches)
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)


CRITERIA = {
    "functional": F.cross_entropy,
    "left out": torch.nn.CrossEntropyLoss(ignore_index=3),
    "class weights": torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2, 2.0, 1.0], dtype=torch.float64)),
    "smoothed": torch.nn.CrossEntropyLoss(label_smoothing=0.1),
}


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("check", [True, False])
def test_criteria_that_are_known(name, check):
    criterion, model = CRITERIA[name], model_of()
    x, y = (
        torch.randn(9, 4, generator=torch.Generator().manual_seed(2)).double(),
        torch.tensor([1, 1, 1, 3, 3, 0, 2, 2, 4]),
    )
    if name != "left out":
        y[0] = -100
    objective = Objective(model, supervised(criterion), [(x[:5], y[:5]), (x[5:], y[5:])], check=check)
    assert objective.value(objective.theta) == pytest.approx(criterion(model(x), y).item(), rel=1e-12)


def test_a_batch_without_a_label_counts_for_nothing():
    model, (x, y) = model_of(), tokens()
    y[5:] = -100
    loss = supervised(lambda out, target: F.cross_entropy(out.flatten(0, 1), target.flatten()))
    objective = Objective(model, loss, [(x[:5], y[:5]), (x[5:], y[5:])], weights=lambda b: (b[1] != -100).sum())
    assert objective.value(objective.theta) == pytest.approx(token_loss(model, (x, y)).item(), rel=1e-12)
    assert objective.batch_losses(objective.theta)[1].tolist() == [1.0]


@pytest.mark.parametrize("check", [True, False])
def test_sequences_first(check):
    """(time, batch, features): elementwise criteria count entries, whatever the first axis is."""
    model = model_of(4, 1)
    x = torch.randn(6, 10, 4, generator=torch.Generator().manual_seed(0)).double()
    y = torch.randn(6, 10, 1, generator=torch.Generator().manual_seed(1)).double()
    batches = [(x[:, :8], y[:, :8]), (x[:, 8:], y[:, 8:])]
    truth = F.mse_loss(model(x), y).item()
    objective = Objective(model, supervised(F.mse_loss), batches, check=check)
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)
    with pytest.warns(WeightsWarning, match=r"2 batches.*vary along other axes.*weights=lambda"):
        Objective(model, lambda m, b: F.mse_loss(m(b[0]), b[1]), batches, check=check)
    said = Objective(model, lambda m, b: F.mse_loss(m(b[0]), b[1]), batches, weights=[8, 2])
    assert said.value(said.theta) == pytest.approx(truth, rel=1e-12)


def weighted_loss(model, batch):
    x, y, w = batch
    return (w * (model(x) - y).square().mean(1)).sum() / w.sum()


def masked_loss(model, batch):
    x, y, mask = batch
    return (model(x) - y).square().mean(1)[mask].mean()


@pytest.mark.parametrize(("loss", "third"), [
    (weighted_loss, torch.linspace(0, 3, 10, dtype=torch.float64) ** 2), (masked_loss, torch.arange(10) % 7 > 3),
])  # fmt: skip
def test_sample_weights_and_masks(loss, third):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(10, 4, generator=generator).double(), torch.randn(10, 5, generator=generator).double()
    model = model_of()
    batches = [(x[:5], y[:5], third[:5]), (x[5:], y[5:], third[5:])]
    truth = loss(model, (x, y, third)).item()
    assert abs(mean_of_means(loss, model, batches) - truth) > 1e-3
    objective = Objective(model, loss, batches)
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("sizes", [(5, 5), (7, 3)])
def test_sums(sizes):
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0)).double()
    model, batches = model_of(), list(x.split(sizes))

    def loss(m, b):
        return m(b).square().sum()

    with pytest.warns(WeightsWarning, match=r'is the sum of their losses.*reduction="sum"'):
        Objective(model, loss, batches)
    objective = Objective(model, loss, batches, reduction="sum", metrics={"mean": lambda m, b: m(b).mean()})
    truth = loss(model, x)
    theta = objective.theta
    assert objective.value(theta) == pytest.approx(truth.item(), rel=1e-12)
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(truth, list(model.parameters()))])
    np.testing.assert_allclose(objective.gradient(theta), gradient, rtol=1e-10)
    means = np.mean([model(b).mean().item() for b in batches])
    assert objective.metrics(theta)["mean"] == pytest.approx(means, rel=1e-12)
    assert standard_error(objective, theta) == pytest.approx(
        abs(np.subtract(*[loss(model, b).item() for b in batches])), rel=1e-9
    )


def graphs(order):
    x = [torch.randn(n, 4, generator=torch.Generator().manual_seed(n)).double() for n in (10, 2)]
    edges = [torch.zeros(2, n, dtype=torch.long) for n in (7, 3)]
    made = [{"x": a, "edges": b} for a, b in zip(x, edges, strict=True)]
    return [{key: batch[key] for key in order} for batch in made]


@pytest.mark.parametrize("order", [("x", "edges"), ("edges", "x")])
def test_graphs_are_warned_of_and_can_be_said(order):
    model, batches = model_of(), graphs(order)

    def loss(m, b):
        return m(b["x"]).square().mean()

    with pytest.warns(WeightsWarning, match=r"the tensors of a batch have different sizes.*weighed alike"):
        guessed = Objective(model, loss, batches)
    assert guessed.value(guessed.theta) == pytest.approx(mean_of_means(loss, model, batches), rel=1e-12)
    objective = Objective(model, loss, batches, weights=lambda b: len(b["x"]))
    truth = loss(model, {"x": torch.cat([b["x"] for b in batches])}).item()
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("order", [("x", "edges"), ("edges", "x")])
def test_what_all_batches_share_has_no_samples(order):
    model, batches = model_of(), graphs(order)
    for batch in batches:
        batch["edges"] = torch.zeros(2, 7)

    def loss(m, b):
        return m(b["x"]).square().mean()

    objective = Objective(model, loss, batches)
    truth = loss(model, {"x": torch.cat([b["x"] for b in batches])}).item()
    assert objective.value(objective.theta) == pytest.approx(truth, rel=1e-12)
    assert len(pieces_of(objective, 4)) == 4


def test_other_types_have_sizes():
    @dataclasses.dataclass
    class Pair:
        x: torch.Tensor
        y: np.ndarray

    model = model_of()
    x = torch.randn(10, 4, generator=torch.Generator().manual_seed(0)).double()
    y = np.linspace(0, 1, 50).reshape(10, 5)

    def loss(m, b):
        return (m(b.x) - torch.from_numpy(b.y)).square().mean()

    objective = Objective(model, loss, [Pair(x[:7], y[:7]), Pair(x[7:], y[7:])])
    assert objective.value(objective.theta) == pytest.approx(loss(model, Pair(x, y)).item(), rel=1e-12)


def test_batches_that_are_alike_never_warn():
    """A contrast between the samples of a batch, and a recurrence along the first axis."""
    model = model_of()
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)).double()

    def contrast(m, b):
        out = m(b)
        return (out @ out.T).logsumexp(1).mean()

    objective = Objective(model, contrast, list(x.split(4)))
    assert objective.value(objective.theta) == pytest.approx(mean_of_means(contrast, model, x.split(4)), rel=1e-12)
    with pytest.warns(WeightsWarning, match="not a weighted mean of their losses.*numbers of samples"):
        Objective(model, contrast, list(x.split(5)))


def test_one_batch_never_warns():
    mixed = collections.OrderedDict(x=torch.ones(3, 4).double(), edges=torch.zeros(2, 7))
    objective = Objective(model_of(), lambda m, b: m(b["x"]).sum(), [mixed])
    assert objective.batch_losses(objective.theta)[1].tolist() == [1.0]


@pytest.mark.parametrize(("options", "message"), [
    ({"weights": [1.0]}, r"weights: expected shape \(2,\)"),
    ({"weights": [1.0, -1.0]}, "finite numbers ≥ 0"),
    ({"weights": [0.0, 0.0]}, "finite numbers ≥ 0"),
    ({"weights": lambda b: b}, "returns one number for a batch"),
    ({"reduction": "max"}, "reduction: expected 'mean' or 'sum'"),
    ({"reduction": "sum", "weights": [1, 1]}, "none with reduction='sum'"),
])  # fmt: skip
def test_worded_errors(options, message):
    with pytest.raises(InputError, match=message):
        Objective(model_of(), lambda m, b: m(b).mean(), [torch.ones(2, 4).double()] * 2, **options)


def test_pieces_have_the_shares_of_what_is_counted():
    model, (x, y) = model_of(), tokens()
    objective = Objective(model, token_loss, [(x[:6], y[:6]), (x[6:], y[6:])])
    theta = objective.theta
    rows, shares = [], []
    for batch, size in ((x[:6], 6), (x[6:], 4)):
        start = 0 if size == 6 else 6
        for k in range(0, len(batch), 4):
            stop = min(k + 4, size)
            part = (x[start + k : start + stop], y[start + k : start + stop])
            rows.append(token_loss(model, part).item())
            shares.append(float((part[1] != -100).sum()))
    pieces = pieces_of(objective, 4)
    assert [piece.value(theta) for piece in pieces] == pytest.approx(rows, rel=1e-12)
    assert np.dot(rows, shares) / np.sum(shares) == pytest.approx(objective.value(theta), rel=1e-12)


def test_what_cannot_be_split_is_refused():
    with pytest.warns(WeightsWarning):
        objective = Objective(model_of(), lambda m, b: m(b["x"]).square().mean(), graphs(("x", "edges")))
    for call in (
        lambda: pieces_of(objective, 2),
        lambda: sample_losses(objective, objective.theta[None]),
    ):
        with pytest.raises(InputError, match=r"samples along their first axis, got \(10, 4\), \(2, 7\)"):
            call()
