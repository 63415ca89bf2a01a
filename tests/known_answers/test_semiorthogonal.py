"""A Krylov basis that is cleaned only where it must be: orthogonality, exactness, no ghosts, rough products."""

import numpy as np
import pytest
import torch

from trajmap.curvature.density import spectral_density
from trajmap.curvature.krylov import Krylov
from trajmap.curvature.lanczos import by_magnitude, lanczos_pairs, largest
from trajmap.objective.operator import Operator

FORMATS = [torch.float32, torch.float64]
EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52}
SPECTRA = {
    "outliers": np.r_[[6.1, 5.8, 5.5, 5.3, 4.7], np.linspace(-1.5, 1.5, 395)],
    "fourfold": np.r_[np.full(4, 7.0), [5.0, 5.0], np.linspace(-1, 1, 294)],
    "cluster": np.r_[5 + 1e-3 * np.arange(4), [-4.0], np.linspace(0, 1, 295)],
    "decay": 10 * 0.8 ** np.arange(250.0),
    "low rank": np.r_[[9.0, 8, 8, 3], np.zeros(196)],
}


class Matrix(Operator):
    """A symmetric matrix of known eigenvalues, with rough products where asked."""

    def __init__(self, values, dtype, *, rough=0.0):
        generator = np.random.default_rng(7)
        n = len(values)
        Q = np.linalg.qr(generator.normal(size=(n, n)))[0]
        self.dense = (Q * values) @ Q.T
        wrong = rough * np.abs(values).max() * generator.normal(size=(n, n)) / np.sqrt(n)
        self.matrix = torch.tensor(self.dense + wrong, dtype=dtype)
        super().__init__(self.matrix, n)

    def multiply(self, vector):
        return self.matrix @ vector


def rows(space):
    return np.stack([space.rows[i].double().numpy() for i in range(len(space.rows))])


def grown(operator, n):
    space = Krylov(operator)
    space.add(torch.tensor(np.random.default_rng(1).standard_normal(operator.size), dtype=operator.dtype))
    for _ in range(n):
        if not space.pending:
            break
        space.multiply(space.pending[-1])
    return space


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", SPECTRA)
def test_the_basis_stays_orthogonal_to_half_of_the_digits(name, dtype):
    space = grown(Matrix(SPECTRA[name], dtype), 90)
    Q = rows(space)
    assert np.abs(Q @ Q.T - np.eye(len(Q))).max() < EPS[dtype] ** 0.5


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_restart_gives_back_all_digits(dtype):
    operator = Matrix(SPECTRA["outliers"], dtype)
    space = grown(operator, 70)
    Q, rounding = rows(space), 50 * EPS[dtype]
    assert np.abs(Q @ Q.T - np.eye(len(Q))).max() > 10 * EPS[dtype], "else there is nothing to give back"
    space.straighten()
    T, S = space.projection()
    values, vectors = np.linalg.eigh(T)
    np.testing.assert_allclose(values[::-1][:5], SPECTRA["outliers"][:5], atol=10 * rounding)
    space.restart(vectors[:, -8:])
    Q, (T, S) = rows(space), space.projection()
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=8 * EPS[dtype])
    known, pending = Q[space.multiplied], Q[space.pending]
    np.testing.assert_allclose(known @ operator.dense, T.T @ known + S.T @ pending, atol=10 * rounding)


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", SPECTRA)
def test_neither_ghosts_nor_missing_copies(name, dtype, memory):
    operator = Matrix(SPECTRA[name], dtype)
    expected = np.linalg.eigvalsh(operator.dense)
    expected = expected[np.argsort(-np.abs(expected))][:6]
    tol = 1e-4 if dtype == torch.float32 else 1e-9
    for seed in range(3):
        generator = np.random.default_rng(seed)
        found = lanczos_pairs(
            operator, generator.standard_normal(operator.size), 6,
            tol=tol, max_products=900, order=by_magnitude, rng=generator, memory=memory,
        )  # fmt: skip
        assert found.converged.all()
        # a value is as exact as the square of its residual, and as the products at best
        np.testing.assert_allclose(np.abs(found.values), np.abs(expected), atol=10 * max(50 * EPS[dtype], tol**2))
        vectors = found.vectors.astype(np.float64)
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(6), atol=100 * EPS[dtype])
        true = np.linalg.norm(vectors @ operator.dense - found.values[:, None] * vectors, axis=1)
        np.testing.assert_allclose(true, found.residuals, atol=1000 * EPS[dtype], rtol=1e-2)


@pytest.mark.parametrize("dtype", FORMATS)
def test_long_after_convergence_nothing_comes_twice(dtype):
    operator = Matrix(SPECTRA["outliers"], dtype)
    space = grown(operator, 150)
    space.straighten()
    values = np.linalg.eigvalsh(space.projection()[0])
    assert np.sum(values > 2) == 5


@pytest.mark.parametrize("rough", [1e-6, 1e-4, 1e-2])
def test_rough_products_are_noticed(rough):
    """Differences of gradients are wrong by 1e-3: symmetry then says nothing of the next coordinates."""
    values = SPECTRA["outliers"]
    operator = Matrix(values, torch.float64, rough=rough)
    space = grown(operator, 100)
    Q = rows(space)
    assert np.abs(Q @ Q.T - np.eye(len(Q))).max() < 1e-6
    generator = np.random.default_rng(0)
    found = lanczos_pairs(
        operator, generator.standard_normal(len(values)), 3, tol=1e-3, max_products=200, order=largest, rng=generator
    )
    np.testing.assert_allclose(found.values, values[:3], atol=30 * rough)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(3), atol=1e-10)


def test_few_rows_are_cleaned(monkeypatch):
    cleaned = []
    whole = Krylov._clean
    monkeypatch.setattr(Krylov, "_clean", lambda self, *rest: cleaned.append(rest) or whole(self, *rest))
    grown(Matrix(SPECTRA["outliers"], torch.float64), 60)
    assert 4 < len(cleaned) < 30


def test_the_quadrature_of_a_long_chain_is_that_of_the_dense_matrix():
    """Ghosts would carry weight twice; moments up to the chain's degree are exact."""
    values = SPECTRA["outliers"]
    operator = Matrix(values, torch.float64)
    found = spectral_density(operator, len(values), n_probes=3, n_steps=80, random_state=2)
    assert all(np.sum(nodes > 2) <= 5 for nodes in found.nodes)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-12)
