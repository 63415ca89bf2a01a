"""Sensitivities compared with rank correlations."""

import numpy as np

from trajmap._validation import Array, check_array, check_count
from trajmap.data.results.rank_agreement import RankAgreement

__all__ = ["rank_agreement", "spearman_table"]


def spearman_table(X: Array, y: Array, *, n_boot: int = 500, random_state: int = 0) -> Array:
    """Spearman's rank correlation of each variable with the target, with bootstrap intervals.

    Parameters
    ----------
    X : array-like, shape (n, d)
        Variables.
    y : array-like, shape (n,)
        Target.
    n_boot : int
        Resamples.
    random_state : int
        Seed.

    Returns
    -------
    numpy.ndarray, shape (d, 3)
        ρ in [−1, 1], and its 2.5 and 97.5 % quantiles.

    References
    ----------
    C. Spearman, The proof and measurement of association between two things, 1904; B. Efron, Bootstrap methods, 1979.

    Examples
    --------
    >>> x = np.arange(50.0)[:, None]
    >>> spearman_table(x, x[:, 0] ** 3, n_boot=20).round(6).tolist()
    [[1.0, 1.0, 1.0]]
    """
    from scipy.stats import rankdata

    X = check_array("X", X, (None, None), dtype=np.float64)
    y = check_array("y", y, (len(X),), dtype=np.float64)
    rng = np.random.default_rng(random_state)

    def correlations(rows: Array) -> Array:
        ranks = rankdata(np.column_stack([X[rows], y[rows]]), axis=0)
        return np.corrcoef(ranks.T)[-1, :-1]

    draws = np.array([correlations(rng.integers(len(X), size=len(X))) for _ in range(check_count("n_boot", n_boot))])
    return np.column_stack([correlations(np.arange(len(X))), *np.quantile(draws, [0.025, 0.975], axis=0)])


def rank_agreement(a: Array, b: Array, *, n_boot: int = 500, random_state: int = 0) -> RankAgreement:
    """Rank correlation of two rankings of the same variables, with a bootstrap interval over the variables.

    Parameters
    ----------
    a, b : array-like, shape (d,)
        Sensitivities, or absolute correlations.
    n_boot : int
        Resamples of the variables.
    random_state : int
        Seed.

    Returns
    -------
    RankAgreement
        With few variables the interval is wide. NaN if a ranking is constant.
    """
    from scipy.stats import rankdata

    a = check_array("a", a, (None,), dtype=np.float64)
    b = check_array("b", b, (len(a),), dtype=np.float64)
    rng = np.random.default_rng(random_state)

    def rho(rows: Array) -> float:
        first, second = rankdata(a[rows]), rankdata(b[rows])
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            return float("nan")
        return float(np.corrcoef(first, second)[0, 1])

    draws = [rho(rng.integers(len(a), size=len(a))) for _ in range(check_count("n_boot", n_boot))]
    known = np.array(draws)[np.isfinite(draws)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return RankAgreement(rho(np.arange(len(a))), float(low), float(high))
