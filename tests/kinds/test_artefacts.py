"""Results are stamped with what made them; what no longer belongs is said, and the finer one is not lost."""

import dataclasses

import numpy as np
import pytest

from trajmap.data.archive import digest_of, read_stamp
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.stamp import Stamp
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError, RunFormatError
from trajmap.kinds.alignment import ALIGNMENT
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.edge import EDGE
from trajmap.kinds.eigenspace import EIGENSPACE, Spectra, find_curvature
from trajmap.kinds.kind import Context
from trajmap.kinds.landscape import LANDSCAPE
from trajmap.kinds.loss_check import LOSS_CHECK
from trajmap.kinds.merge_tree import MERGE_TREE
from trajmap.kinds.scores import SCORES
from trajmap.report.standing import list_cautions, list_stale
from trajmap.report.write import gather, write_report


def land(n):
    return Landscape(Grid((np.linspace(0, 1, n),) * 2), np.arange(float(n * n)).reshape(n, n))


@pytest.fixture
def run(tmp_path):
    Trajectory.of(np.random.default_rng(0).normal(size=(6, 4))).save(tmp_path / "run")
    return Trajectory.open(tmp_path / "run")


@pytest.fixture
def artefacts(run):
    return Artefacts.of(run.path)


def longer(run):
    """The same run two iterates later, as its folder would give it."""
    more = np.random.default_rng(1).normal(size=(8, 4))
    return dataclasses.replace(Trajectory.of(more), header=run.header, path=run.path)


def test_a_stamp_is_kept_beside_the_result_and_outside_its_digest(run, artefacts):
    stamp = Stamp.of(run, "surface", settings={"n": 5, "charts": ("pca",)}, objective="ab", versions={"numpy": "2"})
    path = artefacts.save(LANDSCAPE, land(5), "pca", stamp=stamp)
    kept = read_stamp(path)
    assert (kept.run, kept.n_iterates, kept.last_step) == (run.header.identity, 6, 5)
    assert kept.settings == {"n": 5, "charts": ["pca"]}
    before = digest_of(path)
    artefacts.save(LANDSCAPE, land(5), "pca", stamp=dataclasses.replace(stamp, verb="another"))
    assert digest_of(path) == before
    artefacts.save(LANDSCAPE, land(6), "pca", stamp=stamp)
    assert digest_of(path) != before
    assert Landscape.open(path).grid.shape == (6, 6)


def test_one_number_changes_the_digest(tmp_path):
    first = land(4).save(tmp_path / "a.npz")
    values = land(4).values.copy()
    values[2, 2] = np.nextafter(values[2, 2], 9)
    second = dataclasses.replace(land(4), values=values).save(tmp_path / "b.npz")
    assert digest_of(first) != digest_of(second)
    assert digest_of(first) == digest_of(land(4).save(tmp_path / "c.npz"))


def test_results_without_a_stamp_are_not_called_stale(run, artefacts):
    artefacts.save(LANDSCAPE, land(4), "pca")
    assert artefacts.stamp(LANDSCAPE, "pca") is None
    assert not artefacts.stale(LANDSCAPE, "pca", run, "ab")


def test_a_damaged_stamp_is_worded(tmp_path):
    with pytest.raises(RunFormatError, match="what made a result"):
        Stamp.parse(b"{}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"run": "another"}, "of another run"),
        ({"n_iterates": 4, "last_step": 3}, "when the run had 4 iterates to step 3; now it has 6 to step 5"),
        ({"objective": "cd"}, "with another objective"),
        ({"inputs": {"charts/pca": "0123"}}, "of another charts/pca than"),
    ],
)
def test_what_no_longer_belongs_is_told(change, words, run, artefacts):
    stamp = dataclasses.replace(Stamp.of(run, "surface", objective="ab"), **change)
    artefacts.save(LANDSCAPE, land(4), "pca", stamp=stamp)
    reason = artefacts.stale(LANDSCAPE, "pca", run, "ab")
    assert words in reason
    assert bool(reason) == bool(words)


def test_an_eigenspace_outlives_the_runs_growth(run, artefacts):
    artefacts.save(EIGENSPACE, EIGENSPACE.example(), "4", stamp=Stamp.of(run, objective="ab"))
    assert not artefacts.stale(EIGENSPACE, "4", longer(run), "ab")
    assert "another objective" in artefacts.stale(EIGENSPACE, "4", longer(run), "cd")


def test_what_was_made_of_another_result_is_stale(run, artefacts):
    artefacts.save(LANDSCAPE, land(4), "pca", stamp=Stamp.of(run))
    made_of = Stamp.of(run, inputs=artefacts.inputs(LANDSCAPE, "pca"))
    artefacts.save(MERGE_TREE, MERGE_TREE.example(), "pca", stamp=made_of)
    assert not artefacts.stale(MERGE_TREE, "pca", run)
    artefacts.save(LANDSCAPE, land(5), "pca", stamp=Stamp.of(run))
    assert "another landscapes/pca" in artefacts.stale(MERGE_TREE, "pca", run)
    artefacts.path(LANDSCAPE, "pca").unlink()
    assert "another landscapes/pca" in artefacts.stale(MERGE_TREE, "pca", run)


def test_a_coarser_result_does_not_replace_a_finer_one(run, artefacts):
    stamp = Stamp.of(run, objective="ab")
    artefacts.save(LANDSCAPE, land(9), "pca", stamp=stamp)
    with pytest.raises(InputError, match=r"pca: expected no less .* grid points 81, got grid points 16; .*--fo"):
        artefacts.save(LANDSCAPE, land(4), "pca", stamp=stamp)
    artefacts.save(LANDSCAPE, land(4), "umap", stamp=stamp)
    artefacts.save(LANDSCAPE, land(9), "pca", stamp=stamp)
    artefacts.save(LANDSCAPE, land(4), "pca", stamp=stamp, force=True)
    assert artefacts.one(LANDSCAPE, "pca").grid.shape == (4, 4)


def test_a_result_that_no_longer_belongs_is_replaced_by_any(run, artefacts):
    artefacts.save(LANDSCAPE, land(9), "pca", stamp=Stamp.of(run, objective="ab"))
    artefacts.save(LANDSCAPE, land(8), "pca", stamp=Stamp.of(longer(run), objective="ab"))
    artefacts.save(LANDSCAPE, land(7), "pca", stamp=Stamp.of(longer(run), objective="cd"))
    changed = Stamp.of(longer(run), objective="cd", inputs={"charts/pca": "1"})
    artefacts.save(LANDSCAPE, land(7), "pca", stamp=changed)
    artefacts.save(LANDSCAPE, land(6), "pca", stamp=dataclasses.replace(changed, inputs={"charts/pca": "2"}))
    artefacts.path(LANDSCAPE, "pca").write_bytes(b"junk")
    artefacts.save(LANDSCAPE, land(3), "pca", stamp=changed)


def test_fewer_draws_and_less_exact_products_are_less(run, artefacts):
    few = SCORES.example()
    many = dataclasses.replace(few, null=np.concatenate([few.null] * 5, axis=-1))
    assert SCORES.effort(many)["draws"] == 5 * SCORES.effort(few)["draws"]
    artefacts.save(SCORES, many)
    with pytest.raises(InputError, match="draws 100, got draws 20"):
        artefacts.save(SCORES, few)
    full = EDGE.example()
    artefacts.save(EDGE, full)
    with pytest.raises(InputError, match="exactness 1, got exactness 0"):
        artefacts.save(EDGE, dataclasses.replace(full, kind="critical sharpness"))


def test_the_page_marks_what_is_stale(run, artefacts):
    artefacts.save(LOSS_CHECK, LOSS_CHECK.example(), stamp=Stamp.of(run, objective="new"))
    artefacts.save(LANDSCAPE, land(9), "pca", stamp=Stamp.of(run, objective="old"))
    artefacts.save(LANDSCAPE, land(9), "umap", stamp=Stamp.of(run, objective="old"))
    artefacts.save(EDGE, EDGE.example(), stamp=Stamp.of(run, objective="new"))
    context = Context(run, artefacts)
    found = gather(context)
    (one,) = list_stale(found, context)
    assert (one.kind, one.names) == (LANDSCAPE, ("pca", "umap"))
    assert "2 results no longer belong" in list_cautions(found, context, [one])[0].sentence
    text = write_report(run.path).read_text(encoding="utf-8")
    assert text.count('class="stale"') == 1
    assert "of pca, umap; it was made with another objective than the one used last. This command makes it" in text


def test_alignments_of_different_sizes_are_not_compared(nouns):
    ten = nouns["alignment"]
    wide = dataclasses.replace(ten, eigenvalues=np.tile(ten.eigenvalues, 2), residuals=np.tile(ten.residuals, 2))
    told = [found.sentence for found in ALIGNMENT.findings({"pca": ten, "umap": wide}, None)]
    assert ["The top 3 eigenvectors" in told[0], "The top 6 eigenvectors" in told[1]] == [True, True]
    assert not any("best aligned" in sentence for sentence in told)


def test_eigenspaces_of_different_sizes_say_so():
    small = EIGENSPACE.example()
    large = dataclasses.replace(
        small, eigenvalues=np.array([4.0, 2, 1]), eigenvectors=np.eye(3, 40), residuals=np.zeros(3),
        converged=np.ones(3, bool),
    )  # fmt: skip
    spectra = Spectra.of({"10": large, "4": small})
    np.testing.assert_array_equal(spectra.steps, [4, 10])
    assert np.isnan(spectra.eigenvalues[0, 2])
    assert "among the 2 or 3 largest in magnitude at most 1 were negative" in find_curvature(spectra).sentence
