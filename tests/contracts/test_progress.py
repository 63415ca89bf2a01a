"""Every verb that can take seconds reports alike how far it is, and computes the same whether somebody listens."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from trajmap.basins.asymmetry import asymmetry_test
from trajmap.basins.barriers import barrier, barrier_matrix
from trajmap.basins.gradient_walks import gradient_walk, loss_gradient_cloud
from trajmap.basins.noise import noise_rise
from trajmap.basins.paths import BezierPath, train_path
from trajmap.basins.permuted_copies import permutation_paths
from trajmap.basins.random_walks import random_walk_rise
from trajmap.basins.units import unit_groups
from trajmap.basins.valley_profiles import valley_profile
from trajmap.basins.valleys import valley_height
from trajmap.curvature.alignments import alignment
from trajmap.curvature.causal import SgdPlan, causal_test
from trajmap.curvature.critical import critical_points
from trajmap.curvature.density import spectral_density
from trajmap.curvature.directional import direction_curvatures
from trajmap.curvature.edge import edge_gauge
from trajmap.curvature.eigenspace import top_eigenspace
from trajmap.curvature.path import eigenspace_path
from trajmap.curvature.subspace_size import subspace_convergence
from trajmap.curvature.trace import deflated_trace, hutchinson, hutchpp, xtrace
from trajmap.data.gram import isometric_coordinates
from trajmap.data.plane import Plane
from trajmap.data.reduction import Reduction
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.trajectory import Trajectory
from trajmap.directions.mining import mine_direction, mine_ring, mine_saddle, w_peak
from trajmap.objective.losses import supervised
from trajmap.objective.objective import Objective
from trajmap.projection.chart_claim import chart_carries_loss
from trajmap.projection.held_out import held_out_lift_gap
from trajmap.projection.lift_gaps import lift_gap
from trajmap.projection.loss_claim import loss_knows_it
from trajmap.projection.surfaces import surface
from trajmap.scores.claim_direction import moved_with_direction
from trajmap.scores.claim_order import order_matters
from trajmap.scores.claim_reproducible import reproducible, reproducible_beyond_line
from trajmap.scores.null_tests import null_test
from trajmap.scores.table import null_scores, score
from trajmap.sensitivity.derivatives import input_derivatives, weight_derivatives
from trajmap.sensitivity.runs import path_sensitivity, retrained_sensitivity


@dataclasses.dataclass
class Subject:
    """A small classifier, a run of it and a flat chart."""

    objective: Objective
    theta: np.ndarray
    run: Trajectory
    chart: Plane
    groups: list


@pytest.fixture(scope="module")
def subject():
    rng, seed = np.random.default_rng(0), torch.Generator().manual_seed(0)
    x, y = torch.randn(24, 2, generator=seed), torch.randint(2, (24,), generator=seed)
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    halves = [(x[:12], y[:12]), (x[12:], y[12:])]
    objective = Objective(model, supervised(torch.nn.functional.cross_entropy), halves)
    steps = np.cumsum(0.05 * rng.normal(size=(20, objective.size)), axis=0)
    run = Trajectory.of(objective.theta + steps, layout=objective.layout)
    chart = Plane(run.theta(-1), np.linalg.qr(rng.normal(size=(objective.size, 2)))[0].T)
    return Subject(objective, objective.theta.astype(float), run, chart, unit_groups(objective))


GRID = Grid((np.linspace(-1, 1, 4), np.linspace(-1, 1, 5)))
AXIS = np.linspace(-1, 1, 9)
WELLS = Landscape(Grid((AXIS, AXIS)), (AXIS[:, None] ** 2 - 0.25) ** 2 + AXIS**2)
PLAN = SgdPlan(lr=0.1, batch_size=12, n_steps=4, every=2)


def hessian(s):
    return s.objective.hessian(s.theta)


def coordinates(s):
    X = isometric_coordinates(s.run.iterates)
    return Reduction(X, X[:, :2], X)


VERBS = {
    "surface": lambda s, p: surface(s.objective, s.chart, GRID, trajectory=s.run, progress=p).values,
    "lift_gap": lambda s, p: lift_gap(s.objective, s.chart, s.run, progress=p).gap,
    "held_out_lift_gap": lambda s, p: (
        held_out_lift_gap(
            s.objective, lambda rows: s.chart, s.run, [(np.arange(10), np.arange(10, 20))] * 2, progress=p
        ).gap
    ),
    "critical_points": lambda s, p: critical_points(s.objective, s.chart, WELLS, max_iter=3, progress=p).z,
    "loss_knows_it": lambda s, p: loss_knows_it(s.objective, s.run, n_draws=2, tried=1, progress=p).value,
    "chart_carries_loss": lambda s, p: (
        chart_carries_loss(s.objective, lambda rows: s.chart, s.run, n_draws=3, progress=p).value
    ),
    "asymmetry_test": lambda s, p: asymmetry_test(s.objective, s.theta, shares=(0, 1), n_draws=3, progress=p).plus,
    "noise_rise": lambda s, p: noise_rise(s.objective, s.theta, n_draws=3, progress=p).losses,
    "permutation_paths": lambda s, p: (
        permutation_paths(s.objective, s.theta, s.groups[0], (2, 4), n_draws=2, n_points=3, progress=p).losses
    ),
    "random_walk_rise": lambda s, p: (
        random_walk_rise(s.objective, s.theta, sigma=0.1, n_steps=2, n_walks=3, progress=p).mean
    ),
    "gradient_walk": lambda s, p: gradient_walk(s.objective, s.theta, step=0.1, n_steps=3, progress=p).iterates[:],
    "loss_gradient_cloud": lambda s, p: loss_gradient_cloud(s.objective, n_walks=2, n_steps=3, progress=p).losses,
    "valley_height": lambda s, p: valley_height(s.objective, s.run, n_products=4, progress=p).forecast,
    "valley_profile": lambda s, p: valley_profile(s.objective, s.run, n_points=5, n_random=2, progress=p).losses,
    "barrier": lambda s, p: (
        barrier(
            s.objective, s.run.theta(0), 3 * s.run.theta(-1), groups=s.groups, n_points=3, n_steps=3, progress=p
        ).losses
    ),
    "barrier_matrix": lambda s, p: barrier_matrix(s.objective, s.run.iterates[:3], n_points=3, progress=p).values,
    "train_path": lambda s, p: train_path(s.objective, BezierPath(s.theta, -s.theta), n_steps=3, progress=p).middle,
    "top_eigenspace": lambda s, p: top_eigenspace(s.objective, s.theta, 2, progress=p).eigenvalues,
    "eigenspace_path": lambda s, p: eigenspace_path(s.objective, s.run, 1, n_at=2, progress=p)[19].eigenvalues,
    "alignment": lambda s, p: alignment(s.objective, s.chart, s.run, 1, n_at=2, progress=p).tangent,
    "edge_gauge": lambda s, p: edge_gauge(s.objective, s.run, lr=0.1, n_at=2, progress=p).ratio,
    "causal_test": lambda s, p: causal_test(s.objective, s.theta, PLAN, k=2, progress=p).losses,
    "hutchinson": lambda s, p: hutchinson(hessian(s), s.objective.size, n_products=4, progress=p).value,
    "deflated_trace": lambda s, p: (
        deflated_trace(
            hessian(s), s.objective.size, top_eigenspace(s.objective, s.theta, 2), n_products=4, progress=p
        ).value
    ),
    "hutchpp": lambda s, p: hutchpp(hessian(s), s.objective.size, n_products=6, progress=p).value,
    "xtrace": lambda s, p: xtrace(hessian(s), s.objective.size, n_products=6, progress=p).value,
    "spectral_density": lambda s, p: (
        spectral_density(hessian(s), s.objective.size, n_probes=2, n_steps=3, progress=p).nodes
    ),
    "direction_curvatures": lambda s, p: direction_curvatures(s.objective, s.theta, n_directions=3, progress=p).values,
    "subspace_convergence": lambda s, p: (
        subspace_convergence(
            s.objective, s.theta, s.chart.directions, sigma=0.1, n_perm=3, n_points=4, progress=p
        ).measured
    ),
    "mine_direction": lambda s, p: mine_direction(s.objective, s.theta, w_peak, n_steps=3, progress=p).vector,
    "mine_saddle": lambda s, p: mine_saddle(s.objective, s.theta, n_steps=3, progress=p).directions,
    "mine_ring": lambda s, p: mine_ring(s.objective, s.theta, n_steps=3, progress=p).directions,
    "null_test": lambda s, p: null_test(s.run, n_draws=3, progress=p).null,
    "null_scores": lambda s, p: null_scores(
        coordinates(s).X, PCA(2), size=100, columns=["continuity"], n_draws=2, progress=p
    ),
    "score": lambda s, p: list(score(coordinates(s), ["continuity", "stress"], progress=p).values()),
    "order_matters": lambda s, p: order_matters(s.run, n_draws=39, progress=p).value,
    "moved_with_direction": lambda s, p: moved_with_direction(s.run, n_draws=39, progress=p).value,
    "reproducible": lambda s, p: reproducible(s.run, mirrored(s), n_draws=39, progress=p).value,
    "reproducible_beyond_line": lambda s, p: reproducible_beyond_line(s.run, mirrored(s), n_draws=39, progress=p).value,
    "weight_derivatives": lambda s, p: weight_derivatives(s.objective, s.theta, orders=1, progress=p).values,
    "input_derivatives": lambda s, p: input_derivatives(s.objective, s.theta, orders=1, progress=p).values,
    "path_sensitivity": lambda s, p: path_sensitivity(s.objective, s.run, every=10, progress=p).values,
    "retrained_sensitivity": lambda s, p: retrained_sensitivity(s.objective, [s.theta, -s.theta], progress=p).values,
}
ENDS_EARLY = {"top_eigenspace", "spectral_density", "hutchpp", "xtrace"}


def mirrored(s):
    """A second run of the same start."""
    turn = np.random.default_rng(7).normal(size=s.run.iterates.shape)
    turn[0] = 0
    return Trajectory.of(s.run.iterates[:] + np.cumsum(0.02 * turn, axis=0), layout=s.run.layout)


@pytest.mark.parametrize("name", VERBS)
def test_progress_counts_up_to_the_total_and_changes_nothing(subject, name):
    told: list[tuple[int, int]] = []
    heard = VERBS[name](subject, lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(heard, VERBS[name](subject, None))
    done, total = np.array(told).T
    assert (np.diff(done) > 0).all()
    assert done[0] >= 1
    assert len(set(total)) == 1
    assert done[-1] <= total[-1] if name in ENDS_EARLY else done[-1] == total[-1]
    assert len(told) > 1
