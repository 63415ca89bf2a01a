"""Verbs speak of one fit, on any number of threads, and say when what lies in the folder no longer belongs together."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from trajmap.cli import main
from trajmap.cli._charts import EMBEDDINGS, fit_chart, load_chart, open_run
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.chart import CHART
from trajmap.kinds.embedding import EMBEDDING
from trajmap.kinds.landscape import LANDSCAPE
from trajmap.kinds.listed import KINDS
from trajmap.kinds.plane import PLANE
from trajmap.kinds.scores import SCORES
from trajmap.recording.recorder import Recorder
from trajmap.scores.reconstruction import reconstruction_error

OBJECTIVE = """
import torch, trajmap

def make():
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    return trajmap.Objective(
        torch.nn.Linear(4, 3), trajmap.supervised(torch.nn.functional.mse_loss), [(x, {scale} * torch.tanh(x[:, :3]))]
    )
"""


def record(folder, first, last):
    """Iterates of a walk, made anew for each step, so that a run can be longer later."""
    model = torch.nn.Linear(4, 3)
    with Recorder(model, folder, resume=first > 0) as recorder:
        for step in range(first, last):
            rng = np.random.default_rng(0)
            theta = np.cumsum(rng.normal(size=(last, 15)), axis=0)[step].astype(np.float32)
            with torch.no_grad():
                model.weight.copy_(torch.tensor(theta[:12].reshape(3, 4)))
                model.bias.copy_(torch.tensor(theta[12:]))
            recorder.record(step=step)


@pytest.fixture
def study(tmp_path):
    record(tmp_path / "run", 0, 40)
    (tmp_path / "my.py").write_text(OBJECTIVE.format(scale=1))
    return tmp_path


def objective(study):
    return ["--objective", f"{study / 'my.py'}:make"]


CHILD = """
import sys, pathlib
import numpy as np
from trajmap.cli._charts import load_chart, open_run
run = pathlib.Path(sys.argv[1])
made = {}
for name in sys.argv[3:]:
    chart = load_chart(run, name, 0)
    Z = chart.transform(open_run(run).iterates)
    made[name], made[name + " lifted"] = Z, chart.inverse_transform(Z[::3] + 0.01)
np.savez(sys.argv[2], **made)
"""


@pytest.mark.slow
@pytest.mark.xdist_group("umap")
def test_every_chart_is_the_same_in_a_process_with_other_threads(study):
    run = study / "run"
    assert main(["embed", str(run), "--charts", *EMBEDDINGS]) == 0
    other = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "2")
    line = [sys.executable, "-c", CHILD, str(run), str(study / "found.npz"), *EMBEDDINGS]
    subprocess.run(line, check=True, env=os.environ | other)
    stored = Artefacts.of(run).all(EMBEDDING)
    with np.load(study / "found.npz") as found:
        for name in EMBEDDINGS:
            chart = load_chart(run, name, 0)
            np.testing.assert_array_equal(found[name], stored[name].Z)
            np.testing.assert_array_equal(found[f"{name} lifted"], chart.inverse_transform(stored[name].Z[::3] + 0.01))


def test_the_chart_that_was_fitted_is_the_one_that_is_loaded(study):
    run = study / "run"
    fitted = fit_chart(run, "diffusion", 0)
    loaded = load_chart(run, "diffusion", 0)
    Z = fitted.transform(open_run(run).iterates)
    np.testing.assert_array_equal(loaded.transform(open_run(run).iterates), Z)
    np.testing.assert_array_equal(loaded.inverse_transform(Z), fitted.inverse_transform(Z))
    assert set(Artefacts.of(run).all(CHART)) == {"rowspace", "diffusion"}


def test_a_seed_belongs_to_the_fit_not_to_who_loads_it(study):
    run = study / "run"
    assert main(["embed", str(run), "--charts", "autoencoder", "--seed", "3"]) == 0
    Z = Artefacts.of(run).one(EMBEDDING, "autoencoder").Z
    np.testing.assert_array_equal(load_chart(run, "autoencoder", 0).transform(open_run(run).iterates), Z)


def test_planes_are_kept_and_belong_to_their_seed(study):
    run = study / "run"
    order = ["surface", str(run), "--charts", "random", "--n", "4", "--held-out", *objective(study)]
    digests = []
    for seed in (1, 1, 2):
        assert main([*order, "--seed", str(seed)]) == 0
        digests.append(Artefacts.of(run).digest(PLANE, "random"))
    assert digests[0] == digests[1] != digests[2]


def test_a_run_that_grew_needs_its_charts_again(study, capsys):
    run = str(study / "run")
    surface = ["surface", run, "--charts", "pca", "--n", "4", "--held-out", *objective(study)]
    assert main(["embed", run, "--charts", "pca"]) == 0
    assert main(surface) == 0
    record(study / "run", 40, 44)
    for cached in (open_run, load_chart, sys.modules["trajmap.cli._charts"].fit_row_space):
        cached.cache_clear()
    capsys.readouterr()
    assert main(surface) == 1
    told = capsys.readouterr().err
    assert "when the run had 40 iterates to step 39; now it has 44 to step 43" in told
    assert f"repair: trajmap embed {run} --charts pca" in told
    assert main(["info", run]) == 0
    told = capsys.readouterr().out
    assert "Stale: Landscape and support of pca; it was made when the run had 40 iterates" in told
    assert main(["embed", run, "--charts", "pca"]) == 0
    load_chart.cache_clear()
    assert main(surface) == 0
    capsys.readouterr()
    assert main(["info", run]) == 0
    assert "Stale" not in capsys.readouterr().out


def test_a_changed_objective_marks_what_it_made_before(study, capsys):
    run = str(study / "run")
    assert main(["surface", run, "--charts", "pca", "--n", "4", "--held-out", *objective(study)]) == 0
    (study / "my.py").write_text(OBJECTIVE.format(scale=2))
    assert main(["hessian", run, "--k", "2", "--at", "2", *objective(study)]) == 0
    capsys.readouterr()
    assert main(["info", run]) == 0
    told = capsys.readouterr().out
    assert "Stale: Landscape and support of pca; it was made with another objective than the one used last" in told
    assert "Stale: Eigenvalues" not in told
    assert main(["report", run]) == 0
    assert 'class="stale"' in (study / "run" / "report.html").read_text(encoding="utf-8")


def test_a_coarser_surface_asks_first(study, capsys):
    run = str(study / "run")
    order = ["surface", run, "--charts", "pca", "--held-out", *objective(study)]
    assert main([*order, "--n", "6"]) == 0
    before = Artefacts.of(run).digest(LANDSCAPE, "pca")
    assert main([*order, "--n", "4"]) == 1
    told = capsys.readouterr().err.strip()
    assert "landscapes/pca: expected no less than the result there has, grid points 36, got grid points 16" in told
    assert told.endswith("repair: --force replaces it")
    assert Artefacts.of(run).digest(LANDSCAPE, "pca") == before
    assert main([*order, "--n", "4", "--force"]) == 0
    assert Artefacts.of(run).one(LANDSCAPE, "pca").grid.shape == (4, 4)


def test_fewer_draws_do_not_replace_a_table(study, capsys):
    run = str(study / "run")
    order = ["score", run, "--charts", "pca"]
    assert main([*order, "--draws", "9"]) == 0
    assert main([*order, "--draws", "2"]) == 1
    assert "draws 9, got draws 2" in capsys.readouterr().err
    assert Artefacts.of(run).one(SCORES).null.shape[-1] == 9


def test_every_file_has_a_kind_and_says_what_made_it(study):
    run = study / "run"
    assert main(["embed", str(run), "--charts", "pca"]) == 0
    assert main(["surface", str(run), "--charts", "pca", "hessian", "--n", "4", *objective(study)]) == 0
    assert main(["score", str(run), "--charts", "pca", "--draws", "2"]) == 0
    artefacts = Artefacts.of(run)
    known = {artefacts.path(kind, name) for kind in KINDS if kind.place for name in artefacts.names(kind)}
    assert known == set((run / "artefacts").rglob("*.npz"))
    identity = Trajectory.open(run).header.identity
    for kind in KINDS:
        for name in artefacts.names(kind) if kind.place else ():
            stamp = artefacts.stamp(kind, name)
            assert (stamp.run, stamp.n_iterates, stamp.last_step) == (identity, 40, 39), kind.name
            assert "numpy" in stamp.versions or kind.name == "loss_check"
    stamp = artefacts.stamp(LANDSCAPE, "pca")
    assert stamp.verb == "surface"
    assert stamp.settings["n"] == 4
    assert stamp.settings["objective"] == "my.py:make"
    assert set(stamp.inputs) == {"charts/pca"}
    assert str(study) not in stamp.text, "where somebody's files lie is nobody's concern"


def test_the_scores_are_those_of_the_kept_chart(study):
    run = str(study / "run")
    assert main(["embed", run, "--charts", "autoencoder", "--seed", "3"]) == 0
    assert main(["score", run, "--charts", "autoencoder", "--draws", "2", "--slow-draws", "2", "--seed", "0"]) == 0
    artefacts = Artefacts.of(run)
    table, reduction = artefacts.one(SCORES), artefacts.one(EMBEDDING, "autoencoder")
    assert table.values[0, table.scores.index("error in sample")] == reconstruction_error(reduction)
    assert set(artefacts.stamp(SCORES).inputs) == {"charts/autoencoder"}
