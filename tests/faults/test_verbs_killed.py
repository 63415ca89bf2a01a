"""Verbs that are killed while they work, that may not write, and that meet on one run."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from trajmap.cli._main import main
from trajmap.data.archive import Saved
from trajmap.data.chart_state import ChartState
from trajmap.data.trajectory import Trajectory
from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.embedding import EMBEDDING

WORK = """
import numpy as np, sys
from trajmap.cli._main import main
for _ in range(40):
    for verb in (["embed", sys.argv[1], "--charts", "pca", "diffusion"],
                 ["score", sys.argv[1], "--charts", "pca", "--draws", "2"]):
        assert main(verb) == 0
"""


@pytest.fixture
def run(tmp_path):
    rng = np.random.default_rng(0)
    rows = np.cumsum(rng.standard_normal((24, 12), dtype=np.float32), axis=0)
    Trajectory.of(rows).save(tmp_path / "run")
    return tmp_path / "run"


def _key(path):
    return f"chart of {path.name}" if path.parent.name == "charts" else path.name


def numbers(noun):
    """What is compared: coordinates, or the fitted arrays of a chart."""
    fitted = noun.state["fitted"].items() if isinstance(noun, ChartState) else [("Z", noun.Z)]
    return {name: value for name, value in fitted if isinstance(value, np.ndarray)}


def opened(folder):
    """Open all artefacts there are and return what they hold, by name."""
    found = {}
    for path in sorted((folder / "artefacts").rglob("*.npz")):
        names = {"Reduction", "VarianceSpectrum", "ScoreTable", "ChartState"}
        kinds = [kind for kind in Saved.__subclasses__() if kind.__name__ in names]
        for kind in kinds:
            try:
                found[_key(path)] = kind.open(path)
            except Exception as error:
                if "expected a " not in str(error):
                    raise
        assert _key(path) in found, path
    return found


def working(folder):
    line = [sys.executable, "-c", WORK, str(folder)]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_killed_at_any_moment(run, tally, tries):
    """What a killed verb left is whole, the old or the new; the same command goes on as if nothing had been."""
    count = tally("kills of verbs that write")
    dice = random.Random(0)
    Trajectory.open(run)
    assert main(["embed", str(run), "--charts", "pca", "diffusion"]) == 0
    wanted = opened(run)
    for _ in range(tries(4, 60)):
        with count.attempt():
            child = working(run)
            begun = (run / "artefacts" / "embeddings" / "pca.npz").stat().st_mtime_ns
            while (run / "artefacts" / "embeddings" / "pca.npz").stat().st_mtime_ns == begun:
                assert child.poll() is None
                time.sleep(0.005)  # imports are over once it has written
            time.sleep(dice.uniform(0, 0.3))
            child.send_signal(signal.SIGKILL)
            child.communicate()
            found = opened(run)
            count.lost += not wanted.keys() <= found.keys()
            count.wrong += any(
                not np.array_equal(numbers(found[name])[part], values)
                for name, noun in wanted.items()
                for part, values in numbers(noun).items()
            )
    assert main(["embed", str(run), "--charts", "pca", "diffusion"]) == 0
    np.testing.assert_array_equal(opened(run)["pca.npz"].Z, wanted["pca.npz"].Z)
    count.require_nothing()


def test_two_verbs_on_one_run(run):
    """Both end well, and what they leave is whole."""
    line = [sys.executable, "-m", "trajmap", "embed", str(run), "--charts", "pca"]
    words = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(line, **words) for _ in range(2)]
    told = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], told
    assert set(opened(run)) == {"pca.npz", "chart of pca.npz", "chart of rowspace.npz"}
    assert not list(run.rglob("*.part"))


def test_a_run_that_cannot_be_written_is_told_in_one_line(run, small_disk, capsys):
    disk = small_disk(800)
    subprocess.run(["cp", "-r", str(run), str(disk / "run")], check=True)
    small_disk(800, again=disk, options=",ro")
    assert main(["info", str(disk / "run")]) == 0
    capsys.readouterr()
    assert main(["embed", str(disk / "run"), "--charts", "pca"]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert "Read-only" in told[0]
    assert [path.name for path in disk.iterdir()] == ["run"]


def test_a_rename_that_is_refused_leaves_the_old_artefact(run, monkeypatch, capsys):
    """As a network disk does it at times."""
    assert main(["embed", str(run), "--charts", "pca"]) == 0
    before = opened(run)["pca.npz"].Z

    def refuse(*places):
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", refuse)
        assert main(["embed", str(run), "--charts", "pca"]) == 1
    assert "Stale file handle" in capsys.readouterr().err
    np.testing.assert_array_equal(opened(run)["pca.npz"].Z, before)
    assert not list(run.rglob("*.part"))
    assert Artefacts.of(run).all(EMBEDDING).keys() == {"pca"}
