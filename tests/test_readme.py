"""The README's quickstart runs as it stands, is short, and the commands it names exist."""

import pathlib
import re
import subprocess
import sys

import pytest

import trajmap
from trajmap.cli._verbs import verbs

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.slow
def test_quickstart_runs_and_is_short(tmp_path):
    (code,) = blocks("python")
    of_trajmap = code.split("optimizer = ")[1].splitlines()[1:]
    assert sum(bool(line.strip()) for line in of_trajmap) <= 15
    script = "import matplotlib\nmatplotlib.use('Agg')\n" + code
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "landscape.png").stat().st_size > 10_000


def test_shell_lines_name_existing_verbs():
    named = {match for block in blocks("sh") for match in re.findall(r"^trajmap (\w+)", block, flags=re.MULTILINE)}
    assert named
    assert named <= set(verbs())


def test_picture_is_small():
    (name,) = re.findall(r"!\[[^\]]*\]\((.*?)\)", README.read_text(encoding="utf-8"))
    assert 10_000 < (README.parent / name).stat().st_size < 300_000


def test_verbs_of_the_table_are_public():
    table = README.read_text(encoding="utf-8").split("| question | verb |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", table))
    assert len(named) > 20
    assert not {name for name in named if not hasattr(trajmap, name)}
