"""Every chart with a frame: combinations equal its own lifts, and distances by coordinates equal direct ones."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data.frame import Frame, stretches
from trajmap.data.plane import Plane
from trajmap.data.store.iterates import Iterates
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.objective.objective import Objective
from trajmap.projection import support
from trajmap.projection.derivatives import lift_jacobian, lift_second
from trajmap.projection.frames import frame_coefficients, framed, reduced, remembered
from trajmap.projection.lift_maps import WholeMap, lift_map
from trajmap.projection.lifts import ChartPoints, lifted_points
from trajmap.projection.support import PathGeometry
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.lifted import Lifted
from trajmap.reduction.principal import PrincipalComponents
from trajmap.reduction.rowspace import RowSpace

P = 300


def spiral(T=40):
    """A run whose late steps are 1e-5 of its extent, in all dimensions."""
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 3, T)
    sizes = np.geomspace(1, 1e-5, T)[:, None]
    basis = np.linalg.qr(rng.normal(size=(P, 2)))[0].T
    smooth = np.cumsum(sizes * np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0) @ basis
    return 5 + smooth + np.cumsum(0.1 * sizes * rng.normal(size=(T, P)) / np.sqrt(P), axis=0)


class Weighted:
    """A user's chart that says its frame: weights on three points, which are dependent."""

    def __init__(self, thetas):
        self._rows = np.concatenate([thetas[[0, 10]], thetas[[0]] + thetas[[10]]])

    def frame(self):
        return Frame(np.ones(P), self._rows)

    def coefficients(self, Z):
        return np.stack([np.sin(Z[:, 0]), Z[:, 1], Z[:, 0] * Z[:, 1]], axis=1)

    def transform(self, X):
        return np.asarray(X)[:, :2]

    def inverse_transform(self, Z):
        return 1 + self.coefficients(Z) @ self._rows


KINDS = {
    "plane": lambda X: Plane(X[-1], np.random.default_rng(1).normal(size=(2, P)) * [[1.0], [30.0]]),
    "row space": lambda X: RowSpace(2).fit(X),
    "pca of points": lambda X: PCA(2, svd_solver="full").fit(np.asarray(X[:])),
    "whitened pca": lambda X: PCA(2, whiten=True, svd_solver="full").fit(np.asarray(X[:])),
    "pca": lambda X: make_pipeline(RowSpace(), PCA(2, svd_solver="full")).fit(X),
    "last centred": lambda X: make_pipeline(RowSpace(), PrincipalComponents(2, center="last")).fit(X),
    "three steps": lambda X: make_pipeline(RowSpace(), PCA(5, svd_solver="full"), "passthrough", PCA(2)).fit(X),
    "diffusion": lambda X: make_pipeline(RowSpace(), DiffusionMap(n_components=2)).fit(X),
    "lifted": lambda X: make_pipeline(RowSpace(), Lifted(PCA(2))).fit(X),
    "autoencoder": lambda X: make_pipeline(RowSpace(), Autoencoder(max_iter=20)).fit(X),
    "a user's": Weighted,
}
each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Opened from files, so that a row space knows its own iterates again."""
    folder = tmp_path_factory.mktemp("frames") / "run"
    Trajectory.of(spiral()).save(folder)
    return Trajectory.open(folder)


@pytest.fixture(scope="module")
def charts(run):
    return {name: make(run.iterates) for name, make in KINDS.items()}


def places(chart, run):
    """Coordinates of the run, and others around it."""
    path = np.asarray(chart.transform(run.iterates))
    spread = path.std(axis=0)
    return np.concatenate([path, path[::3] + 0.3 * spread * np.random.default_rng(2).normal(size=(14, path.shape[1]))])


@each
def test_combinations_equal_lifts(kind, charts, run):
    chart = charts[kind]
    Z = places(chart, run)
    known = framed(chart)
    frame = known.frame()
    direct = np.asarray(chart.inverse_transform(Z))
    C = frame_coefficients(known, frame, Z)
    scale = np.abs(direct).max()
    np.testing.assert_allclose(frame.points(C), direct, atol=1e-12 * scale)
    few, turn = reduced(frame, C, np.float64)
    assert few.n_vectors <= frame.n_vectors
    np.testing.assert_allclose(few.points(C @ turn), direct, atol=1e-10 * scale)
    objective = Objective(torch.nn.Linear(P, 1, bias=False).double(), lambda m, x: m(x).sum(), [torch.eye(P).double()])
    points, out = lifted_points(objective, chart, Z), torch.empty(P, dtype=torch.float64)
    for i in (0, 5, len(Z) - 1):
        points.write(i, out)
        np.testing.assert_allclose(out.numpy(), direct[i], atol=1e-10 * scale)


def test_a_flat_chart_needs_a_vector_a_coordinate_and_one_where_it_misses_the_origin(charts, run):
    for kind, most in (("pca", 3), ("three steps", 3), ("last centred", 3)):
        known = framed(charts[kind])
        assert known.frame().n_vectors > 20
        assert (
            2 <= reduced(known.frame(), known.coefficients(places(charts[kind], run)), np.float64)[0].n_vectors <= most
        )
    centred = np.concatenate([np.eye(30)[:2], -np.eye(30)[:2]])
    assert reduced(Frame(np.ones(P), np.eye(30, P)), centred, np.float64)[0].n_vectors == 2


@each
@pytest.mark.parametrize("stored", [True, False], ids=["own", "in memory"])
def test_distances_equal_direct_ones(kind, stored, charts, run):
    chart = charts[kind]
    Z = places(chart, run)
    thetas = np.asarray(run.iterates)
    direct = np.asarray(chart.inverse_transform(Z))
    known = framed(chart)
    geometry = PathGeometry(run.iterates if stored else thetas, known, known.coefficients(Z))
    extent = np.ptp(thetas, axis=0).max() * np.sqrt(P)
    brute = cdist(direct, thetas).min(axis=1)
    # a point on an iterate is at no distance, to rounding
    np.testing.assert_allclose(geometry.of_lifted(), brute, rtol=1e-6, atol=1e-12 * extent)
    own = np.linalg.norm(direct[: len(thetas)] - thetas, axis=1)
    np.testing.assert_allclose(geometry.residuals(), own, rtol=1e-6, atol=1e-12 * extent)
    plain = PathGeometry(thetas)
    np.testing.assert_allclose(plain.nearest(direct), brute, rtol=1e-6, atol=1e-12 * extent)
    np.testing.assert_allclose([geometry.reach, plain.reach], held_out_reach(thetas), rtol=1e-6)
    variance = np.sum((thetas - thetas.mean(axis=0)) ** 2) / len(thetas)
    np.testing.assert_allclose([geometry.variance, plain.variance], variance, rtol=1e-9)


@pytest.mark.parametrize("kind", ["row space", "pca", "diffusion", "autoencoder"])
def test_a_large_run_that_the_chart_was_fitted_on_is_not_read(kind, charts, run, monkeypatch):
    chart = charts[kind]
    Z = places(chart, run)
    known = framed(chart)
    C = known.coefficients(Z)
    known.frame()  # its mean is read once, whoever asks first
    monkeypatch.setattr(support, "_CHEAP", 0)
    read = []
    if kind != "row space":  # it leaves out what distances between iterates need
        monkeypatch.setattr(Iterates, "__getitem__", lambda *_: read.append(1))
    geometry = PathGeometry(run.iterates, known, C)
    monkeypatch.undo()
    assert not read
    exact = PathGeometry(run.iterates, known, C)
    extent = np.linalg.norm(np.ptp(run.iterates[:], axis=0))
    # its basis is orthonormal to ε over the square of a direction's share of the extent, here 1e-5
    np.testing.assert_allclose(geometry.of_lifted(), exact.of_lifted(), rtol=2e-5, atol=1e-7 * extent)
    np.testing.assert_allclose(geometry.residuals(), exact.residuals(), rtol=2e-5, atol=1e-7 * extent)
    np.testing.assert_allclose([geometry.reach, geometry.variance], [exact.reach, exact.variance], rtol=1e-5)


def held_out_reach(thetas):
    """The definition, by a loop."""
    T = len(thetas)
    nearest = []
    for t in range(T):
        others = [s for s in range(T) if s * 10 // T != t * 10 // T]
        nearest.append(min(np.linalg.norm(thetas[t] - thetas[s]) for s in others))
    return np.median(nearest)


def test_a_row_space_knows_its_own_iterates_and_no_others(charts, run):
    known = framed(charts["pca"])
    assert remembered(known, np.asarray(run.iterates)) is None
    coordinates, off = remembered(known, run.iterates)
    assert not off.any()
    np.testing.assert_allclose(cdist(coordinates, coordinates), cdist(run.iterates[:], run.iterates[:]), atol=1e-9)
    assert remembered(framed(charts["plane"]), run.iterates) is None


@each
def test_slopes_up_to_an_isometry(kind, charts, run):
    chart = charts[kind]
    z = places(chart, run)[12]
    step = 0.05 * np.asarray(chart.transform(run.iterates)).std(axis=0)
    seen, whole = lift_map(chart), WholeMap(chart)
    J = lift_jacobian(chart, z, fd_step=step)
    lifted = np.asarray(chart.inverse_transform(np.concatenate([z + np.diag(step), z - np.diag(step)])))
    expected = (lifted[: len(z)] - lifted[len(z) :]) / (2 * step[:, None])
    np.testing.assert_allclose(J, expected, atol=1e-8 * np.abs(expected).max())
    slope = seen.jacobian(z, fd_step=step)
    # a row space is isometric to ε over the square of a direction's share of the extent, here 1e-5
    np.testing.assert_allclose(slope @ slope.T, expected @ expected.T, rtol=2e-5, atol=1e-8 * np.sum(expected**2))
    legs = np.linalg.norm(np.diff(seen.points(lifted_places := np.stack([z, z + step, z - step])), axis=0), axis=1)
    np.testing.assert_allclose(legs, np.linalg.norm(np.diff(whole.points(lifted_places), axis=0), axis=1), rtol=2e-5)
    second = lift_second(chart, z, fd_step=step)
    twice = np.asarray(
        chart.inverse_transform(np.stack([z + 2 * np.eye(len(z))[0] * step, z, z - 2 * np.eye(len(z))[0] * step]))
    )
    bend = (twice[0] - 2 * twice[1] + twice[2]) / (4 * step[0] ** 2)
    np.testing.assert_allclose(
        second[0, 0], bend, atol=1e-6 * max(np.abs(bend).max(), np.abs(twice).max() / step[0] ** 2 * 1e-8)
    )


def test_a_chart_without_a_frame_is_lifted_in_blocks():
    class Cube:
        calls = 0

        def transform(self, X):
            return np.cbrt(X[:, :1])

        def inverse_transform(self, Z):
            Cube.calls += 1
            return np.concatenate([Z**3, Z], axis=1)

    assert framed(Cube()) is None
    points, out = ChartPoints(Cube(), np.arange(7.0)[:, None], 2, block=3), torch.empty(2)
    found = []
    for i in range(7):
        points.write(i, out)
        found.append(out.tolist())
    assert found == [[float(i**3), float(i)] for i in range(7)]
    assert Cube.calls == 3


def test_coefficients_of_another_shape_are_refused():
    class Wrong(Weighted):
        def coefficients(self, Z):
            return Z

    known = Wrong(spiral())
    with pytest.raises(InputError, match=r"chart\.coefficients\(Z\): expected shape \(4, 3\)"):
        frame_coefficients(known, known.frame(), np.zeros((4, 2)))


def test_rows_that_are_not_finite_stay_and_do_not_spoil_the_others():
    C = np.array([[1.0, 2.0, 0.0], [np.nan, 0.0, 0.0], [2.0, 4.0, 0.0]])
    few, turn = reduced(Frame(np.zeros(4), np.eye(3, 4)), C, np.float32)
    assert few.n_vectors == 1
    found = few.points(C @ turn)
    np.testing.assert_allclose(found[[0, 2]], [[1, 2, 0, 0], [2, 4, 0, 0]], rtol=1e-6)
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize(("rows", "size"), [(1, 10), (20, 10**7), (5000, 10**5), (3, 2**25)])
def test_stretches_cover_all_columns_once_and_stay_small(rows, size):
    cut = list(stretches(rows, size))
    assert cut[0].start == 0
    assert cut[-1].stop == size
    assert all(a.stop == b.start for a, b in itertools.pairwise(cut))
    assert max(c.stop - c.start for c in cut) * rows <= max(2**18, min(size // 4, 2**22), rows)
