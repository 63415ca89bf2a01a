"""What every embedding promises: scikit-learn's own checks, and ours."""

import inspect
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from trajmap import reduction
from trajmap._registry import members
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.reduction._base import Embedding
from trajmap.reduction.autoencoder import Autoencoder
from trajmap.reduction.diffusion_map import DiffusionMap
from trajmap.reduction.gaussian_process import GaussianProcessLift
from trajmap.reduction.lifted import Lifted
from trajmap.reduction.phate import Phate
from trajmap.reduction.principal import PrincipalComponents
from trajmap.reduction.rowspace import RowSpace
from trajmap.reduction.umap import UMAP

EMBEDDINGS = {
    "rowspace": RowSpace(),
    "autoencoder": Autoencoder(max_iter=50),
    "linear autoencoder": Autoencoder(hidden=(), max_iter=20),
    "diffusion": DiffusionMap(),
    "umap": UMAP(),
    "principal": PrincipalComponents(),
    "principal from the last": PrincipalComponents(center="last"),
    "phate": Phate(),
    "lifted": Lifted(DiffusionMap()),
    "lifted with residual": Lifted(PrincipalComponents(), GaussianProcessLift(), residual=True),
    "patient autoencoder": Autoencoder(max_iter=50, early_stopping=True, n_decoders=2, standardise=True),
}
# members of the family that are not yet among them, as they come
EMBEDDINGS |= {
    member.word or name: member()
    for name, member in members(reduction).items()
    if inspect.isclass(member)
    and issubclass(member, Embedding)
    and member not in {type(known) for known in EMBEDDINGS.values()}
}
# umap-learn compiles itself for half a minute: its tests share one process
COMPILED = (pytest.mark.xdist_group("umap"), pytest.mark.slow)
PARAMETERS = [pytest.param(name, marks=COMPILED if name == "umap" else ()) for name in EMBEDDINGS]
each = pytest.mark.parametrize("name", PARAMETERS)


@pytest.fixture(scope="module", name="X")
def points():
    t = np.linspace(0, 1, 60)
    rng = np.random.default_rng(0)
    curve = np.stack([np.cos(2 * t), np.sin(2 * t), t**2, np.exp(-t)], axis=1)
    return curve + 0.01 * rng.normal(size=curve.shape)


@pytest.fixture(scope="module")
def run(tmp_path_factory, X):
    folder = tmp_path_factory.mktemp("run")
    thetas = X @ np.random.default_rng(1).normal(size=(4, 50))
    Trajectory.of(thetas).save(folder)
    return Trajectory.open(folder)


@pytest.mark.slow
@each
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_conformance(name):
    results = check_estimator(clone(EMBEDDINGS[name]), on_fail=None, on_skip=None)
    assert not {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}


@each
def test_shapes_repeatability_and_innocence(name, X):
    before = X.copy()
    first, second = clone(EMBEDDINGS[name]).fit(X), clone(EMBEDDINGS[name]).fit(X)
    Z = first.transform(X)
    np.testing.assert_array_equal(Z, second.transform(X))
    np.testing.assert_array_equal(first.inverse_transform(Z), second.inverse_transform(Z))
    assert first.inverse_transform(Z).shape == X.shape
    assert len(first.get_feature_names_out()) == Z.shape[1]
    np.testing.assert_array_equal(X, before)


@each
def test_fit_transform_agrees_with_transform(name, X):
    estimator = clone(EMBEDDINGS[name])
    np.testing.assert_allclose(estimator.fit_transform(X), estimator.transform(X), atol=1e-9)


@each
def test_signs_follow_the_rule(name, X):
    if name in {"umap", "autoencoder", "patient autoencoder"}:
        pytest.skip("their coordinates have no free sign")
    Z = clone(EMBEDDINGS[name]).fit_transform(X)
    assert (Z[np.abs(Z).argmax(axis=0), np.arange(Z.shape[1])] > 0).all()


@each
def test_pickles(name, X):
    fitted = clone(EMBEDDINGS[name]).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.transform(X), fitted.transform(X))


@each
def test_pipeline_over_a_lazy_run(name, run):
    chart = make_pipeline(RowSpace(), clone(EMBEDDINGS[name])).fit(run.iterates)
    lazy, whole = chart.transform(run.iterates), chart.transform(np.asarray(run.iterates))
    np.testing.assert_allclose(lazy, whole, atol=1e-9)
    assert chart.inverse_transform(lazy).shape == run.iterates.shape


def test_the_row_space_says_how_it_lifts(run):
    space = RowSpace().fit(run.iterates)
    Z = np.random.default_rng(0).normal(size=(5, space.n_components_))
    np.testing.assert_allclose(space.frame().points(space.coefficients(Z)), space.inverse_transform(Z), atol=1e-12)


@each
def test_lift_returns_near_the_points(name, X):
    fitted = clone(EMBEDDINGS[name]).fit(X)
    residual = np.sum((fitted.inverse_transform(fitted.transform(X)) - X) ** 2)
    assert residual < 0.1 * np.sum((X - X.mean(axis=0)) ** 2)


@pytest.mark.parametrize("name", [*PARAMETERS, "pca"])
def test_too_many_coordinates(name, X):
    # an injective chart has at most the 4 coordinates of the points, the others at most n − 2
    estimator = PCA(9) if name == "pca" else clone(EMBEDDINGS[name])
    many = 59 if name in {"diffusion", "umap", "phate", "lifted"} else 9
    estimator.set_params(**{"embedding__n_components" if name.startswith("lifted") else "n_components": many})
    with pytest.raises(ValueError, match="n_components"):
        estimator.fit(X)


@each
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_points_are_refused(name, bad, X):
    broken = X.copy()
    broken[7, 1] = bad
    with pytest.raises(ValueError, match="NaN|inf"):
        clone(EMBEDDINGS[name]).fit(broken)


@each
def test_wrong_coordinates_are_refused(name, X):
    fitted = clone(EMBEDDINGS[name]).fit(X)
    with pytest.raises(InputError, match="Z: expected shape"):
        fitted.inverse_transform(np.zeros((3, 7)))


@each
def test_global_random_state_is_left_alone(name, X):
    import torch

    np.random.seed(5)
    torch.manual_seed(5)
    before, before_torch = np.random.get_state()[1].copy(), torch.get_rng_state()
    clone(EMBEDDINGS[name]).fit_transform(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert torch.equal(torch.get_rng_state(), before_torch)


@pytest.mark.slow
@pytest.mark.xdist_group("umap")
@pytest.mark.parametrize("n", [3, 8])
def test_a_run_that_stands_still_is_embedded_the_same_way_twice(n):
    """The graph of repeated points has few eigenvalues, of which SciPy finds vectors with noise of its own."""
    X = np.repeat(np.cumsum(np.random.default_rng(0).normal(size=(n, 30)), axis=0), 9, axis=0)
    first, second = (UMAP(random_state=1).fit(X).embedding_ for _ in range(2))
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
