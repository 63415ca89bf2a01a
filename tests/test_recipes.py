"""The recipes of CONTRIBUTING.md, followed to the letter in a copy: each new thing is found wherever it should be."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from trajmap.data.trajectory import Trajectory

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(python|diff) file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# files that each recipe touches, at most
MOST = {"An embedding": 3, "A score": 4, "A plot": 3, "A verb with its section": 6}
pytestmark = pytest.mark.slow


def recipes():
    """The code blocks of each recipe, by its heading."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    parts = re.split(r"^### ", text.partition("## Recipes")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]
    return {part.partition(":")[0]: BLOCK.findall(part) for part in parts}


def amend(text, change):
    """Apply a change: lines that begin with a space are found in order, + lines follow them, − lines go."""
    lines, place = text.split("\n"), 0
    for line in change.rstrip("\n").split("\n"):
        sign, words = line[0], line[1:]
        if sign == "+":
            lines.insert(place, words)
            place += 1
            continue
        found = lines.index(words, place if sign == " " else 0)
        place = found + 1 if sign == " " else found
        if sign == "-":
            del lines[found]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package and its tests with all four recipes followed, and the files that each touched."""
    folder, touched = tmp_path_factory.mktemp("copy"), {}
    for name in ("trajmap", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for recipe, blocks in recipes().items():
        for kind, file, content in blocks:
            path = folder / file
            assert path.exists() == (kind == "diff"), file
            path.write_text(content if kind == "python" else amend(path.read_text("utf-8"), content), "utf-8")
        touched[recipe] = {file for _, file, _ in blocks}
    return folder, touched


@pytest.fixture(scope="module")
def run(copy):
    thetas = np.cumsum(np.random.default_rng(0).normal(size=(40, 30)), axis=0)
    Trajectory.of(thetas, scalars={"loss": np.linspace(2, 1, 40)}).save(copy[0] / "run")
    return copy[0] / "run"


def child(copy, *words):
    """Run Python on the copy: what is installed steps aside for it."""
    environment = os.environ | {"PYTHONPATH": str(copy[0])}
    done = subprocess.run(
        [sys.executable, *words], cwd=copy[0], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def trajmap(copy, *words):
    return child(copy, "-m", "trajmap", *map(str, words))


def test_a_recipe_touches_few_files(copy):
    assert {recipe: len(files) for recipe, files in copy[1].items()} == MOST


def test_what_a_recipe_writes_is_clean(copy):
    files = sorted(set().union(*copy[1].values()))
    child(copy, "-m", "ruff", "check", "--no-cache", *files)
    child(copy, "-m", "ruff", "format", "--no-cache", "--check", *files)


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("test_embeddings", "chord"),
        ("test_scores", "nearest_agreement"),
        ("test_plots", "last_saturation"),
        ("test_kinds", "turning"),
    ],
)
def test_the_contract_suites_pick_it_up(copy, suite, name):
    options = ["-q", "-p", "no:cacheprovider", f"tests/contracts/{suite}.py", "-k", f"[{name}"]
    told = child(copy, "-m", "pytest", *options)
    assert int(re.search(r"(\d+) passed", told).group(1)) >= 2


def test_the_recipes_own_test_passes(copy):
    assert "3 passed" in child(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cli/test_turning.py")


def test_nouns_are_public(copy):
    child(copy, "-c", "import trajmap; trajmap.Turning, trajmap.ChordPlane")


def test_the_command_line_and_the_report_pick_it_up(copy, run):
    assert "chord" in trajmap(copy, "embed", run, "--charts", "pca", "chord")
    told = trajmap(copy, "score", run, "--charts", "chord", "--all", "--draws", "2", "--slow-draws", "2")
    assert "nearest agreement" in told
    assert "turning" in trajmap(copy, "help")
    assert "39 pairs" not in (told := trajmap(copy, "turning", run))
    assert "Over 38 pairs of steps the mean cosine" in told
    assert "Turning" in trajmap(copy, "info", run)
    assert "turning.png" in trajmap(copy, "plot", run, "--kinds", "turning")
    trajmap(copy, "report", run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert '<section id="turning">' in page
    assert "Over 38 pairs of steps the mean cosine" in page
    assert "Cosine of the angle between successive recorded steps" in page
    assert "Chord: early iterates dark" in page
