"""The verbs compose through the run folder; wrong use and failures are told apart by the exit status."""

import html.parser
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from trajmap.cli import main
from trajmap.cli._verbs import verbs
from trajmap.data.results.landscape import Grid, Landscape
from trajmap.data.store.store import iterate_path
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError
from trajmap.kinds.alignment import ALIGNMENT
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.asymmetry import ASYMMETRY
from trajmap.kinds.cloud import CLOUD
from trajmap.kinds.connection import CONNECTION
from trajmap.kinds.density import DENSITY
from trajmap.kinds.edge import EDGE
from trajmap.kinds.eigenspace import EIGENSPACE
from trajmap.kinds.embedding import EMBEDDING
from trajmap.kinds.landscape import LANDSCAPE
from trajmap.kinds.lift_gap import LIFT_GAP
from trajmap.kinds.lines import LINES
from trajmap.kinds.merge_tree import MERGE_TREE
from trajmap.kinds.noise import NOISE
from trajmap.kinds.permutations import PERMUTATIONS
from trajmap.kinds.rings import RINGS
from trajmap.kinds.samples import SAMPLES
from trajmap.kinds.saturation import SATURATION
from trajmap.kinds.scores import SCORES
from trajmap.kinds.sensitivity import SENSITIVITY
from trajmap.kinds.solutions import SOLUTIONS
from trajmap.kinds.subspace import SUBSPACE
from trajmap.kinds.trainings import TRAININGS
from trajmap.kinds.valley import VALLEY
from trajmap.kinds.walk import WALK
from trajmap.recording.recorder import Recorder
from trajmap.recording.sketch import CountSketch

OBJECTIVE = """
import torch, trajmap

def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(96, 6, generator=generator)
    return x, torch.tanh(x @ torch.arange(6.0)).unsqueeze(1)

def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))

def make_objective():
    return trajmap.Objective(net(), trajmap.supervised(torch.nn.functional.mse_loss), [data()])

def other_layout():
    return trajmap.Objective(torch.nn.Linear(6, 1), trajmap.supervised(torch.nn.functional.mse_loss), [data()])

def not_an_objective():
    return 3
"""


def train(folder, namespace, order):
    x, y = namespace["data"]()
    state = torch.get_rng_state()
    model = namespace["net"]()
    torch.set_rng_state(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(order)
    with Recorder(model, folder).attach(optimizer) as recorder:
        for _ in range(70):
            rows = torch.randint(len(x), (16,), generator=generator)
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            recorder.record({"loss": loss.item()})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "my.py").write_text(OBJECTIVE)
    namespace = {}
    exec(OBJECTIVE, namespace)
    for name, order in (("base", 0), ("sister", 1), ("third", 2)):
        train(folder / name, namespace, order)
    return folder


@pytest.fixture(scope="module")
def road(study):
    run, objective = str(study / "base"), f"{study / 'my.py'}:make_objective"
    charts = ["--charts", "pca", "diffusion"]
    verbs = [
        ["embed", run, *charts],
        ["score", run, *charts, "--sister", str(study / "sister"), "--draws", "3"],
        [
            "surface",
            run,
            *charts,
            "hessian",
            "--objective",
            objective,
            "--n",
            "7",
            "--every",
            "20",
            "--workers",
            "2",
            "--critical",
            "--film",
            str(study / "film.gif"),
        ],
        [
            "hessian",
            run,
            "--objective",
            objective,
            "--k",
            "3",
            "--at",
            "5",
            "--edge",
            "--density",
            "--causal",
            "--batch",
            "16",
        ],
        ["align", run, *charts, "--objective", objective],
        ["topology", run, "--rings"],
        ["lines", run, "--objective", objective, "--steps", "5", "--random", "3", "--shapes", "w-peak"],
        ["walks", run, "--objective", objective, "--walks", "3", "--steps", "12"],
        ["samples", run, "--objective", objective, "--k", "2"],
        ["sensitivity", run, "--objective", objective, "--at", "3", "--retrained", str(study / "sister")],
        ["sensitivity", run, "--objective", objective, "--at", "2", "--by", "weights", "--only", "2.weight"],
        ["sensitivity", run, "--objective", objective, "--at", "2", "--by", "chart", "--chart", "pca"],
        ["basin", run, *map(str, (study / "sister", study / "third")), "--objective", objective, "--curve", "5"],
        ["plot", run],
        ["report", run],
    ]
    for verb in verbs:
        assert main(verb) == 0, verb
    return study / "base"


@pytest.mark.slow
def test_verbs_compose(road):
    artefacts = Artefacts.of(road)
    assert set(artefacts.all(EMBEDDING)) == set(artefacts.all(ALIGNMENT)) == {"pca", "diffusion"}
    assert set(artefacts.all(LANDSCAPE)) == {"pca", "diffusion", "hessian"}
    assert set(artefacts.all(LIFT_GAP)) == {"pca", "diffusion", "pca on blocks", "pca on tail"}
    blocks = artefacts.all(LIFT_GAP)["pca on blocks"]
    # the loss is not quadratic over the largest residuals, so the two orders tell only most of the gap
    assert np.corrcoef(blocks.first_order + blocks.second_order, blocks.gap)[0, 1] > 0.9
    assert (road.parent / "film.gif").stat().st_size > 1000
    assert not (road / "artefacts" / "unfinished" / "pca").exists()
    assert artefacts.one(SCORES).values.shape[0] == 2
    assert np.isfinite(artefacts.one(SCORES).values).all()
    assert len(artefacts.all(EIGENSPACE)) == 5
    np.testing.assert_allclose(artefacts.one(EDGE).threshold, 2 * 1.9 / 0.1)
    assert artefacts.one(DENSITY).size == 41
    assert artefacts.one(SENSITIVITY, "inputs").values.shape == (3, 3, 6)
    assert artefacts.one(SENSITIVITY, "weights").names[0] == "2.weight[0,0]"
    assert artefacts.one(SENSITIVITY, "chart").values.shape == (2, 3, 2)
    assert artefacts.one(LINES).names == [
        *(f"random {i}" for i in (1, 2, 3)),
        "mined w-peak",
        "noise with the model's signs",
        "the model itself",
        "its signs",
        "from the start",
    ]
    assert artefacts.one(VALLEY).losses.shape == (12, 41)
    assert artefacts.one(ASYMMETRY).plus.shape == (5, 8)
    assert artefacts.one(WALK).rises.shape == (3, 13)
    assert artefacts.one(NOISE).losses.shape == (5, 10)
    assert artefacts.one(PERMUTATIONS).counts.tolist() == [2, 4]
    assert sum(artefacts.one(CLOUD).shares.values()) == pytest.approx(1)
    assert artefacts.one(SATURATION).names == ["1"]
    assert artefacts.one(SAMPLES).deviation > 0
    assert artefacts.one(SUBSPACE).sizes[-1] == 95
    assert artefacts.one(SOLUTIONS).names == ["base", "sister", "third"]
    assert set(artefacts.all(RINGS)) <= {"pca", "diffusion", "hessian"}
    supported = {name for name, land in artefacts.all(LANDSCAPE).items() if land.support.any()}
    assert set(artefacts.all(MERGE_TREE)) == supported
    assert all(tree.supported for tree in artefacts.all(MERGE_TREE).values())
    assert artefacts.one(TRAININGS).names == ["SGD", "dominant", "bulk"]
    assert list(artefacts.all(CONNECTION)) == ["sister", "third"]
    assert artefacts.all(LANDSCAPE)["pca"].values.shape == (7, 7)
    assert len(list(artefacts.figures.glob("*.png"))) >= 6


@pytest.mark.slow
def test_report_is_written(road):
    class Sections(html.parser.HTMLParser):
        headings = 0

        def handle_starttag(self, tag, attrs):
            self.headings += tag == "h2"

    parser = Sections()
    parser.feed((road / "report.html").read_text(encoding="utf-8"))
    assert parser.headings >= 5


def test_info_tells_seams_gaps_and_losses(tmp_path, capsys):
    torch.manual_seed(0)
    model = torch.nn.BatchNorm1d(3)
    for step in (0, 1, 2, 3, 2, 3, 7):
        with Recorder(model, tmp_path / "run", resume=True, dtype="delta16") as recorder:
            recorder.record({"loss": 1.0}, step=step)
    with torch.no_grad():
        model.weight[0] = float("nan")
    with Recorder(model, tmp_path / "run", resume=True, dtype="delta16") as recorder:
        recorder.record(step=8)
    iterate_path(tmp_path / "run", 1).unlink()
    with pytest.warns(RuntimeWarning, match="dropped 1 damaged"):
        assert main(["info", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().out
    for expected in (
        "T = 5 iterates of P = 6 parameters, float32",
        "steps 0 to 8, mostly every 1",
        "2 gaps, the first from step 0 to 2",
        "resumed from step 1",
        "2 iterates on disk are superseded by a resumed run",
        "dropped 000000000001: missing",
        "NaN or inf in 1 iterates, the first at step 8",
        "stored as 16-bit differences: at most 0.0e+00 of a step is rounded away",
        "3 buffers, 32 bytes an iterate: running_mean, running_var, num_batches_tracked",
    ):
        assert expected in told, told
    with Recorder(model, tmp_path / "short", sketch=CountSketch(size=4096)) as recorder:
        recorder.record()
        recorder.record()
    assert main(["info", str(tmp_path / "short")]) == 0
    assert "sketches of 6 parameters (seed 0): a distance is right to 1.1 %" in capsys.readouterr().out


@pytest.mark.slow
def test_warnings_are_one_line(tmp_path):
    thetas = np.random.default_rng(0).normal(size=(12, 5))
    thetas[4, 2] = np.inf
    Trajectory.of(thetas).save(tmp_path / "run")
    command = [sys.executable, "-m", "trajmap", "embed", str(tmp_path / "run"), "--charts", "pca"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert told.strip() == f"trajmap embed: {tmp_path / 'run'}: 1 of 12 iterates hold NaN or inf and are left out"


@pytest.mark.slow
def test_basin_tells_sisters_from_strangers(study, tmp_path, capsys):
    namespace = {}
    exec(
        OBJECTIVE.replace("manual_seed(0)\n    return torch.nn.Seq", "manual_seed(5)\n    return torch.nn.Seq"),
        namespace,
    )
    train(tmp_path / "stranger", namespace, 0)
    base, sister = str(study / "base"), str(study / "sister")
    order = ["basin", base, sister, str(tmp_path / "stranger"), "--sister", str(study / "third"), "--curve", "0"]
    assert main([*order, "--objective", f"{study / 'my.py'}:make_objective"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "the objective at the end of the run is" in told.pop(0)
    assert "by averaging the last 14 iterates: a loss of" in told[0]
    assert ": one basin" in told[1]
    assert "stranger: " in told[2]
    assert ": one basin: " not in told[2]
    stranger = str(tmp_path / "stranger")
    for wrong, words in (
        (["--sister", base], "another run"),
        (["--sister", stranger], "shares this run's start"),
        ([base], "another run"),
        ([sister, "--sister", sister], "another run"),
    ):
        assert main(["basin", base, *wrong, "--objective", f"{study / 'my.py'}:make_objective"]) == 1
        assert words in capsys.readouterr().err


def test_info_prints_what_a_run_holds(study, capsys):
    assert main(["info", str(study / "base"), "--verify"]) == 0
    out = capsys.readouterr().out
    assert "T = 71 iterates of P = 41 parameters" in out
    assert "every checksum agrees" in out
    assert "0.weight" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nowhere"], "RUN: expected a run folder"),
        (["surface", "{run}"], "--objective: expected FILE.py:FUNCTION"),
        (["surface", "{run}", "--objective", "nofile.py:f"], "with an existing file"),
        (["surface", "{run}", "--objective", "{my}:absent"], "expected a function absent"),
        (["surface", "{run}", "--objective", "{my}:not_an_objective"], "expected a function that returns"),
        (["surface", "{run}", "--objective", "{my}:other_layout"], "objective: expected the same parameters"),
        (["align", "{sister}", "--objective", "{my}:make_objective"], "repair: trajmap hessian"),
        (["embed", "{run}", "--charts", "autoencoder", "--seed", "-1"], "random_state"),
    ],
)
def test_failure_is_one_line_and_status_1(study, arguments, message, capsys):
    places = {"run": study / "base", "sister": study / "sister", "my": study / "my.py"}
    assert main([a.format(**places) for a in arguments]) == 1
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1


def test_debug_shows_the_traceback():
    with pytest.raises(InputError, match="nowhere, which is not there"):
        main(["info", "nowhere", "--debug"])


@pytest.mark.parametrize("arguments", [["fly"], ["embed", "run", "--charts", "tsne"], ["surface"]])
def test_wrong_use_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_wrong_chart_lists_the_choices(capsys):
    with pytest.raises(SystemExit):
        main(["embed", "run", "--charts", "tsne"])
    assert "autoencoder" in capsys.readouterr().err


@pytest.mark.parametrize("verb", list(verbs()))
def test_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "usage: trajmap" in capsys.readouterr().out


def test_a_newcomer_sees_four_commands(capsys):
    assert main([]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("  trajmap ")] == [
        "demo", "claims", "report", "help",
    ]  # fmt: skip


def test_help_lists_each_verb_with_its_group(capsys):
    assert main(["help"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", text, re.MULTILINE) for name in verbs())
    assert main(["help", "info"]) == 0
    assert "usage: trajmap info" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("words", [["help"], ["info", "RUN"], ["plot", "RUN"], ["report", "RUN"]])
def test_torch_is_not_loaded_to_read_a_run(words, tmp_path):
    Trajectory.of(np.eye(4)).save(tmp_path / "run")
    words = [str(tmp_path / "run") if word == "RUN" else word for word in words]
    code = f"import sys; from trajmap.cli import main; assert main({words!r}) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["surfaec", "run"], "did you mean surface?"),
        (["embed", ".", "--chart", "pca"], "did you mean --charts?"),
        (["embed", ".", "--charts", "pac"], "invalid choice: 'pac'"),
        (["embed", ".", "other"], "got other"),
    ],
)
def test_wrong_use_says_what_was_meant(words, meant, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["embed", "--charts", "pca", "RUN"], ["--seed=1", "embed", "RUN", "--charts", "pca"]]
)
def test_options_stand_before_and_after_the_run(words, study, tmp_path):
    run = tmp_path / "run"
    Trajectory.of(np.random.default_rng(0).normal(size=(9, 5))).save(run)
    assert main([str(run) if word == "RUN" else word for word in words]) == 0
    assert list(Artefacts.of(run).all(EMBEDDING)) == ["pca"]


def test_json_and_quiet(tmp_path, capsys):
    run = tmp_path / "run"
    Trajectory.of(np.random.default_rng(0).normal(size=(9, 5))).save(run)
    assert main(["embed", str(run), "--charts", "pca", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verb"], found["options"]["charts"]) == ("embed", ["pca"])
    assert found["written"] == ["charts/pca.npz", "charts/rowspace.npz", "embeddings/pca.npz"]
    assert "reconstruction error" in found["lines"][-1]
    assert main(["embed", str(run), "--charts", "pca", "--quiet"]) == 0
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "RUN", "--sister", "nowhere"], "--sister: expected a run folder"),
        (["info", "nowhere"], "RUN: expected a run folder"),
        (["basin", "RUN", "nowhere"], "OTHER: expected a run folder"),
        (["surface", "RUN", "--film", "film.txt"], "expected a .gif or .mp4 file"),
        (["surface", "RUN", "--every", "0"], "--every: expected an integer"),
        (["hessian", "RUN", "--device", "nonsense", "--objective", "MY.py:make_objective"], "device: expected one of"),
    ],
)
def test_arguments_are_checked_before_any_work(words, message, tmp_path, capsys):
    run = tmp_path / "run"
    Trajectory.of(np.eye(4)).save(run)
    (tmp_path / "my.py").write_text("def make_objective():\n    raise AssertionError('work')\n")
    replaced = [word.replace("RUN", str(run)).replace("MY.py", str(tmp_path / "my.py")) for word in words]
    assert main(replaced) == 1
    assert message in capsys.readouterr().err
    assert not (run / "artefacts").exists()


def test_an_error_in_the_users_loss_names_the_users_line(tmp_path, capsys):
    run = tmp_path / "run"
    Trajectory.of(np.random.default_rng(0).normal(size=(9, 3)).astype("f4")).save(run)
    (tmp_path / "my.py").write_text(
        "import numpy as np\nimport trajmap\n\ncalls = []\n\ndef f(theta):\n    calls.append(1)\n"
        "    return float(theta @ theta) if len(calls) < 30 else {}['late']\n\n"
        "def make_objective():\n    return trajmap.Objective.from_function(f, size=3)\n"
    )
    assert main(["surface", str(run), "--charts", "pca", "--objective", f"{tmp_path / 'my.py'}:make_objective"]) == 1
    assert "my.py, line 8: KeyError: 'late', in the line: return float" in capsys.readouterr().err


@pytest.mark.slow
def test_installed_command_answers():
    done = subprocess.run([sys.executable, "-m", "trajmap", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("trajmap ")


@pytest.mark.slow
def test_rings_are_kept_while_they_are_there(study, tmp_path, capsys):
    """A wine bottle has one; the file goes when the landscape has none any more."""
    folder = tmp_path / "run"
    Trajectory.of(np.zeros((3, 4))).save(folder)
    x, y = np.meshgrid(np.linspace(-2, 2, 31), np.linspace(-2, 2, 31), indexing="ij")
    grid, artefacts = Grid((x[:, 0], y[0])), Artefacts.of(folder)
    for values, count in (((x**2 + y**2 - 1) ** 2, 1), (x**2 + y**2, 0)):
        Landscape(grid, values).save(artefacts.path(LANDSCAPE, "bottle"))
        assert main(["topology", str(folder), "--rings"]) == 0
        assert [len(found.pairs) for found in artefacts.all(RINGS).values()] == [count] * count
        assert f"    {count} rings" in capsys.readouterr().out


def test_a_run_that_knows_no_learning_rate_and_stands_still_once(study, tmp_path, capsys):
    """As a folder of checkpoints, one of which was saved twice."""
    base = Trajectory.open(study / "base")
    run = str(tmp_path / "run")
    Trajectory.of(np.asarray(base.iterates[:])[[0, 20, 40, 40, 70]], layout=base.layout).save(run)
    objective = ["--objective", f"{study / 'my.py'}:make_objective"]
    order = ["hessian", run, *objective, "--k", "2", "--at", "4", "--edge"]
    assert main(order) == 1
    assert "repair: pass lr=… (--lr on the command line)" in capsys.readouterr().err
    assert main([*order, "--lr", "0.1"]) == 0
    assert Artefacts.of(tmp_path / "run").one(EDGE).threshold == pytest.approx([20] * 4)
    assert main(["hessian", run, *objective, "--forward-only", "--lr", "0.1"]) == 1
    assert "edge: expected no less than the result there has, exactness 1, got exactness 0" in capsys.readouterr().err
    assert main(["hessian", run, *objective, "--forward-only", "--lr", "0.1", "--force"]) == 0
    assert Artefacts.of(tmp_path / "run").one(EDGE).kind == "critical sharpness"
    assert main(["embed", run, "--charts", "pca"]) == 0
    assert "5 iterates of 41 parameters span 3 dimensions" in capsys.readouterr().out
    assert main(["align", run, *objective, "--charts", "pca"]) == 0
    told = capsys.readouterr().out
    assert "(1 of 4 are zero), a random direction" in told
    assert "nan" not in told


def test_a_killed_hessian_is_resumed(study, tmp_path, capsys):
    base = Trajectory.open(study / "base")
    run = tmp_path / "run"
    Trajectory.of(np.asarray(base.iterates[:])[::10], layout=base.layout).save(run)
    order = ["hessian", str(run), "--objective", f"{study / 'my.py'}:make_objective", "--k", "2", "--at", "4"]
    assert main(order) == 0
    first = capsys.readouterr().out
    *kept, lost = sorted((run / "artefacts" / "hessian").glob("*.npz"), key=lambda path: int(path.stem))
    written = [path.stat().st_mtime_ns for path in kept]
    lost.unlink()  # as if killed before the last one
    assert main(order) == 0
    assert lost.exists()
    assert [path.stat().st_mtime_ns for path in kept] == written, "read, not found again"
    assert capsys.readouterr().out.splitlines()[:3] == first.splitlines()[:3]
    spaces = Artefacts.of(run).all(EIGENSPACE)
    assert all(space.converged.all() for space in spaces.values())
    assert main([*order, "--k", "3"]) == 0
    assert all(space.k == 3 for space in Artefacts.of(run).all(EIGENSPACE).values())
