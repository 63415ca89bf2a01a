"""Sentences follow the numbers, both ways."""

import dataclasses

import numpy as np
import pytest

from trajmap.data.artefacts import Artefacts
from trajmap.data.asymmetry import Asymmetry
from trajmap.data.lift_gap import LiftGap
from trajmap.data.reduction import Reduction
from trajmap.data.trajectory import Trajectory
from trajmap.data.variance_spectrum import VarianceSpectrum
from trajmap.report.cautions import cautions
from trajmap.report.findings import (
    find_alignment,
    find_charts,
    find_curvature,
    find_gaps,
    find_run,
    find_scores,
    find_variance,
)
from trajmap.report.surroundings import find_asymmetry, find_samples, find_walks


@pytest.mark.parametrize(
    ("ratios", "words", "beyond"),
    [
        ([0.9, 0.08], "straighter or flatter than a walk", True),
        ([0.6, 0.15], "no evidence of a low-dimensional run", False),
        ([0.3, 0.2], "spread over more directions", False),
    ],
)
def test_variance(ratios, words, beyond):
    null = np.array([[0.60, 0.14], [0.61, 0.15], [0.62, 0.16]])
    found = find_variance(VarianceSpectrum(np.array(ratios), np.array([0.61, 0.15]), null))
    assert words in found.sentence
    assert found.beyond is beyond
    assert found.number == pytest.approx(sum(ratios))
    assert found.baseline == pytest.approx(0.76)


def test_run():
    losses = np.array([np.nan, 3.0, 0.5])
    found = find_run(Trajectory.of(np.eye(3), scalars={"loss": losses}))
    assert "3 iterates of 3 parameters" in found.sentence
    assert "from 3 to 0.5" in found.sentence
    assert "no loss was recorded" in find_run(Trajectory.of(np.eye(3))).sentence
    assert "never finite" in find_run(Trajectory.of(np.eye(3), scalars={"loss": np.full(3, np.nan)})).sentence


def test_charts_and_curvature(nouns):
    found = find_charts({"pca": nouns["landscape"]})
    assert "lowest loss on a grid is 0.1, on pca" in found.sentence
    assert f"{nouns['landscape'].support.mean():.0%}" in found.sentence
    found = find_curvature(nouns["alignment"])
    assert "from 3 to 5" in found.sentence
    assert "at most 1 were negative" in found.sentence


def gap_of(excess, control, name="pca"):
    values = np.ones(5)
    return LiftGap(np.arange(5.0), values, values + excess, values, values + control, name)


@pytest.mark.parametrize(
    ("excess", "control", "words", "beyond"),
    [
        (0.5, 0.1, "leaves the valley", False),
        (0.05, 0.1, "no more than chance", True),
        (-0.2, 0.1, "as averages of iterates do", True),
    ],
)
def test_lift_gap(excess, control, words, beyond):
    found = find_gaps({"pca": gap_of(excess, control)})
    assert words in found.sentence
    assert found.beyond is beyond
    assert "the gap flatters" in found.sentence
    on_sister = find_gaps({"pca": gap_of(9, 0), "pca on sister": gap_of(excess, control)})
    assert on_sister.number == pytest.approx(excess)
    assert "flatters" not in on_sister.sentence


def test_scores_inside_and_beyond_the_null(nouns):
    table = nouns["scores"]
    found = find_scores(table)
    assert found.beyond is True
    assert "about training" in found.sentence
    assert "walks reach 0.990" in found.sentence
    inside = dataclasses.replace(table, null=np.where(table.null > 0.5, 0.1, 0.1))
    found = find_scores(inside)
    assert found.beyond is False
    assert "no more than it would of a walk" in found.sentence
    far = table.values.copy()
    far[:, 4] = 2.0
    found = find_scores(dataclasses.replace(table, values=far, null=np.full(table.null.shape, 7.0)))
    assert found.beyond is False
    assert "does not carry over" in found.sentence
    unknown = find_scores(dataclasses.replace(table, null=np.full(table.null.shape, np.nan)))
    assert unknown.beyond is None
    alone = table.values.copy()
    alone[:, 4] = np.nan
    assert "held-out stretches" in find_scores(dataclasses.replace(table, values=alone)).sentence


def test_verdicts(nouns):
    np.testing.assert_array_equal(nouns["scores"].verdicts, [[0, 0, 1, 1, 1], [-1, -1, np.nan, 1, 1]])


@pytest.mark.parametrize(
    ("tangent", "words", "beyond"),
    [
        (0.95, "follows the curved directions", True),
        (0.3, "more than chance, but less", False),
        (0.05, "no closer", False),
    ],
)
def test_alignment(tangent, words, beyond, nouns):
    found = find_alignment({"pca": dataclasses.replace(nouns["alignment"], tangent=np.full(3, tangent))})
    assert words in found.sentence
    assert found.beyond is beyond
    assert "random direction 2.50%" in found.sentence


def test_cautions_fire_and_stay_silent(run_folder, tmp_path):
    artefacts = Artefacts.of(run_folder)
    text = " ".join(cautions(Trajectory.open(run_folder), artefacts))
    assert "One run is a curve" in text
    assert "negative eigenvalues down to -1" in text
    assert "did not reach the asked residual" in text
    assert "half cosine" not in text
    assert "Adam" not in text
    wave = np.cos(np.pi * np.arange(40) / 39)[:, None]
    Reduction(wave, wave, wave, "pca").save(artefacts.path("embeddings", "pca"))
    assert "half cosine of time" in " ".join(cautions(Trajectory.open(run_folder), artefacts))
    calm = Trajectory.of(np.eye(4))
    assert cautions(calm, Artefacts.of(tmp_path / "nothing")) == []
    broken = Trajectory.of(np.array([[1.0], [np.nan], [3]]))
    assert "1 iterates hold NaN" in cautions(broken, Artefacts.of(tmp_path / "nothing"))[0]


@pytest.mark.parametrize(
    ("minus", "words"),
    [
        ([[1.0, 1.1, 0.9], [3, 3.1, 2.9]], "flatter on the side of the model's signs"),
        ([[1.0, 1.1, 0.9], [0.4, 0.41, 0.39]], "steeper on the side of the model's signs"),
        ([[1.0, 2.0, 0.5], [1.1, 1, 1]], "no asymmetry beyond chance"),
        ([[1.0, 1, 1], [1, 1, np.nan]], "not a number in 1 of 12 draws"),
        ([[1.0, 1, 1], [1, 1, -1]], "falls to -1: ratios of it say nothing"),
    ],
)
def test_asymmetry(minus, words):
    assert words in find_asymmetry(Asymmetry(np.array([0.0, 1]), np.ones((2, 3)), np.array(minus))).sentence


def test_asymmetry_without_its_control():
    found = find_asymmetry(Asymmetry(np.array([1.0]), np.ones((1, 2)), np.full((1, 2), 3.0)))
    assert "no Gaussian noise was measured" in found.sentence
    assert found.number == 3


def test_walks_and_samples(run_folder, nouns):
    sentence = find_walks(Artefacts.of(run_folder)).sentence
    for words in ("Random walks rise by 1 ", "noise of 0.5", "2 to 8 units", "67% saddle"):
        assert words in sentence
    assert find_walks(Artefacts.of(run_folder / "none")) is None
    assert "slope -1.000" in find_samples(nouns["sample_convergence"]).sentence
