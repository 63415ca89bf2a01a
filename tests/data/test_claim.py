"""A claim holds beyond every null, with enough draws, corrected for what was tried."""

import numpy as np
import pytest

from trajmap.data.claim import Claim
from trajmap.errors import InputError

FAR = np.linspace(0, 1, 39)


def made(value=2.0, draws=(FAR,), **more):
    return Claim("order matters", value, np.array(draws), tuple(f"null {i}" for i in range(len(draws))), **more)


def test_beyond_every_null():
    assert made().holds == "yes"
    assert made(draws=(FAR, FAR + 1.5)).holds == "no"
    assert made(draws=(FAR, FAR + 1.5)).hardest == 1


def test_p_counts_the_run_itself():
    assert made().p[0] == pytest.approx(1 / 40)
    assert made(value=FAR[-2]).p[0] == pytest.approx(3 / 40)


@pytest.mark.parametrize("n", [1, 2, 18])
def test_too_few_draws_say_nothing(n):
    claim = made(draws=(np.zeros(n),))
    assert claim.holds == "unknown"
    assert np.isnan(claim.p[0])


def test_a_null_without_draws_leaves_it_unknown_unless_another_refuses():
    none = np.full(39, np.nan)
    assert made(draws=(FAR, none)).holds == "unknown"
    assert made(draws=(FAR + 5, none)).holds == "no"


def test_what_was_tried_is_paid_for():
    assert made(tried=2).holds == "yes"
    assert made(tried=3).holds == "unknown"  # 39 draws cannot reach .05 / 3
    assert made(draws=(np.linspace(0, 1, 99),), tried=3).p[0] == pytest.approx(0.03)


def test_a_reason_or_no_value_is_unknown():
    assert made(reason="no sister").holds == "unknown"
    assert made(value=np.nan).holds == "unknown"


def test_it_is_kept(tmp_path):
    claim = made(draws=(FAR, FAR + 1), low=1.0, high=3.0, tried=2, parts={"line": 0.5}, reason="")
    again = Claim.open(claim.save(tmp_path / "claim.npz"))
    assert again.nulls == claim.nulls
    assert again.parts == {"line": 0.5}
    np.testing.assert_array_equal(again.draws, claim.draws)


def test_bad_input():
    with pytest.raises(InputError, match="tried"):
        made(tried=0)
