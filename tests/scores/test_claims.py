"""Claims of geometry on processes whose answer is known by their making, their type-I error, and what is refused."""

import numpy as np
import pytest

from trajmap.data.gram import isometric_coordinates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, LayoutError
from trajmap.scores.claim_direction import moved_with_direction
from trajmap.scores.claim_order import order_matters
from trajmap.scores.claim_reproducible import _orthonormal, reproducible, reproducible_beyond_line

SIZE = 300
ALONE = (moved_with_direction, order_matters)
BESIDE = (reproducible, reproducible_beyond_line)


def summed(steps):
    return np.vstack([np.zeros(steps.shape[1]), np.cumsum(steps, axis=0)])


def noise(seed, n=50, size=SIZE):
    return np.random.default_rng(seed).normal(size=(n, size)) / size**0.5


def along(strength):
    return strength * np.eye(1, SIZE)


def pulled(seed, pull, away):
    path = [np.zeros(SIZE)]
    for kick in noise(seed):
        path.append(path[-1] + pull * (along(away)[0] - path[-1]) + kick)
    return np.array(path)


def three(seed):
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(SIZE, 3)))[0]
    return summed(noise(seed, size=3) @ basis.T)


def momentum(seed):
    steps = noise(seed)
    for t in range(1, len(steps)):
        steps[t] += 0.9 * steps[t - 1]
    return summed(steps)


def orbit(seed):
    angle = np.linspace(0, 6 * np.pi, 51)
    circle = 5 * np.stack([np.cos(angle) - 1, np.sin(angle)], axis=1) @ np.eye(2, SIZE)
    return circle + summed(0.1 * noise(seed))


def jitter(seed):
    return np.vstack([np.zeros(SIZE), noise(seed)])


KNOWN = {
    "isotropic walk": (lambda seed: summed(noise(seed + 2)), "no no no no"),
    "walk in 3 dimensions": (three, "no no no no"),
    "pull around the start": (lambda seed: pulled(seed, 0.2, 0.0), "no yes no no"),
    "pull towards a point": (lambda seed: pulled(seed, 0.1, 25.0), "yes yes yes no"),
    "drift plus noise": (lambda seed: summed(noise(seed) + along(0.5)), "yes no yes no"),
    "noise with momentum": (momentum, "yes yes no no"),
    "periodic orbit": (orbit, "no yes yes yes"),
    "jitter": (jitter, "no no no no"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_what_is_true_by_making(name):
    make, truth = KNOWN[name]
    run, sister = make(1), make(2)
    found = [claim(run, size=SIZE) for claim in ALONE] + [claim(run, sister, size=SIZE) for claim in BESIDE]
    assert " ".join(claim.holds for claim in found) == truth
    assert [claim.name for claim in found] == [
        "moved with direction",
        "order matters",
        "reproducible",
        "reproducible beyond a straight line",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "make"),
    [
        (moved_with_direction, three),
        (order_matters, lambda seed: summed(noise(seed) + along(0.3))),
        (order_matters, jitter),
        (reproducible, three),
    ],
    ids=["direction", "order of a drift", "order of jitter", "reproducible"],
)
def test_type_one_error(claim, make):
    """A hundred processes of which it is not true: three standard errors of .05 are .065."""
    others = [(make(1000 + seed),) if claim in BESIDE else () for seed in range(100)]
    held = [claim(make(s), *others[s], size=SIZE, n_draws=19, random_state=s).holds == "yes" for s in range(100)]
    assert np.mean(held) <= 0.11


def test_values_have_closed_forms():
    line = np.outer(np.arange(21.0), [3.0, 4.0])
    found = moved_with_direction(line, size=SIZE)
    assert found.value == pytest.approx(20)  # (20 · 5)² / (20 · 5²)
    assert found.parts == pytest.approx({"displacement": 100, "length": 100, "straightness": 1})
    assert order_matters(line, size=SIZE).value == 0
    shared = reproducible(line, 1.1 * line, size=SIZE)
    assert (shared.value, shared.parts["line"]) == pytest.approx((1, 1))
    # two ways at right angles: nothing shared
    assert reproducible(line, line @ [[0, 1], [-1, 0]], size=SIZE).value == pytest.approx(0, abs=1e-8)


def test_a_path_there_and_back_has_a_quarter_turn_beyond_its_line():
    """An L: the mean way's Gram matrix is diagonal in its two legs, so the line is the larger eigenvalue's share."""
    legs = np.vstack([np.outer(np.arange(21), [1.0, 0]), np.array([20.0, 0]) + np.outer(np.arange(1, 21), [0, 1.0])])
    sister = legs + 1e-3 * summed(noise(0, n=40, size=2))
    variances = np.linalg.eigvalsh(legs.T @ legs)
    found = reproducible(legs, sister, size=SIZE)
    assert found.parts["beyond"] == pytest.approx(variances[0] / variances.sum(), rel=1e-2)


def test_claims_depend_on_distances_alone():
    run, sister = pulled(1, 0.1, 25.0), pulled(2, 0.1, 25.0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, SIZE)))[0]
    for claim in BESIDE:
        plain, turned = claim(run, sister, size=SIZE), claim(run @ turn + 7, sister @ turn + 7, size=SIZE)
        assert turned.value == pytest.approx(plain.value, abs=1e-7)
        assert turned.holds == plain.holds
        # a turn at random depends on the axes; what is made of the run's own steps does not
        np.testing.assert_allclose(turned.draws[1], plain.draws[1], atol=1e-6)


def test_trajectories_are_what_their_coordinates_are():
    run, sister = pulled(1, 0.1, 25.0), pulled(2, 0.1, 25.0)
    a, b = Trajectory.of(run), Trajectory.of(sister)
    assert moved_with_direction(a).value == pytest.approx(moved_with_direction(run, size=SIZE).value)
    assert reproducible(a, b).value == pytest.approx(reproducible(run, sister, size=SIZE).value)
    with pytest.raises(InputError, match="sister: expected the same type as the run"):
        reproducible(a, sister)
    with pytest.raises(LayoutError):
        reproducible(a, Trajectory.of(sister[:, :-1]))


@pytest.mark.parametrize(
    ("spoil", "options", "words"),
    [
        (lambda X: X, {"n_draws": 18}, "18 draws"),
        (lambda X: X, {"tried": 20}, "99 draws cannot give p ≤ 0.05; 399 can"),
        (lambda X: X[:11], {}, "12 or more are needed"),
        (lambda X: np.where(np.arange(len(X))[:, None] == 5, np.nan, X), {}, "not finite"),
        (lambda X: 0 * X, {}, "all equal"),
    ],
)
def test_what_cannot_be_tested_is_unknown_with_its_reason(spoil, options, words):
    run, sister = spoil(summed(noise(1))), spoil(summed(noise(2)))
    found = [c(run, size=SIZE, **options) for c in ALONE] + [c(run, sister, size=SIZE, **options) for c in BESIDE]
    for claim in found:
        assert claim.holds == "unknown"
        assert words in claim.reason


def test_a_trajectory_that_diverged_is_unknown():
    X = summed(noise(1))
    X[30:] = np.inf
    assert "not finite" in moved_with_direction(Trajectory.of(X)).reason


@pytest.mark.parametrize("claim", BESIDE)
def test_sisters_that_are_none_are_refused(claim):
    run = summed(noise(1))
    for own in (run, run + 1e-12, run[::2]):
        with pytest.raises(InputError, match="sister: expected another run, got iterates of the run itself"):
            claim(run, own, size=SIZE)
    with pytest.raises(InputError, match="sister: expected a run of the same start"):
        claim(run, summed(noise(2)) + along(100.0), size=SIZE)
    with pytest.raises(InputError, match="size: expected the number of parameters P"):
        claim(run, summed(noise(2)))


def test_what_both_have_in_common_is_no_repetition():
    """Two walks that part late: as a whole they share half their variance, and since they parted nothing."""
    shared = noise(0, n=30)
    run, sister = (summed(np.vstack([shared, noise(seed, n=30)])) for seed in (1, 2))
    found = reproducible(run, sister, size=SIZE)
    assert (found.parts["common"], found.holds) == (30, "no")
    assert abs(found.value) < 0.2
    late = reproducible(run[:40], sister[:40], size=SIZE)
    assert (late.holds, late.reason) == ("unknown", "after the runs separate: 10 iterates; 12 or more are needed")


@pytest.mark.parametrize(("P", "T"), [(3, 30), (11, 61), (40, 61)])
def test_single_precision_and_few_parameters(P, T):
    """Rounding of float32 products spans no dimensions: there are no more coordinates than parameters."""
    rng = np.random.default_rng(0)
    runs = [np.vstack([np.zeros(P), np.cumsum(0.02 + 0.02 * rng.normal(size=(T - 1, P)), axis=0)]) for _ in range(2)]
    run, sister = (Trajectory.of(points.astype(np.float32)) for points in runs)
    assert isometric_coordinates(run.iterates).shape[1] <= P
    assert reproducible(run, sister, n_draws=19).holds == "yes"
    assert reproducible_beyond_line(run, sister).holds in {"yes", "no"}


def test_turns_are_uniform():
    rng = np.random.default_rng(0)
    turns = np.array([_orthonormal(rng.normal(size=(3, 3))) for _ in range(2000)])
    np.testing.assert_allclose(turns.mean(axis=0), 0, atol=4 * np.sqrt(1 / 3 / 2000))
    np.testing.assert_allclose(turns[0].T @ turns[0], np.eye(3), atol=1e-12)


def test_nothing_is_beyond_a_line_on_a_line():
    line, found = np.outer(np.arange(30.0), [1.0]), []
    for seed in range(25):
        noise = 0.01 * line.std() * np.random.default_rng(seed).normal(size=(29, 1))
        sister = line + np.vstack([np.zeros((1, 1)), noise])
        found.append(reproducible_beyond_line(line, sister, size=1000, random_state=seed).holds)
    assert "yes" not in found
