"""``--objective FILE.py:FUNCTION`` imports what lies beside the file, and says where the user's code fails."""

import sys

import numpy as np
import pytest
import torch

from trajmap.cli._objective import load_objective
from trajmap.data.layout import Layout
from trajmap.data.trajectory import Trajectory
from trajmap.errors import InputError

RUN = Trajectory.of(np.zeros((3, 3)), layout=Layout(("weight",), ((1, 3),)))

OBJECTIVE = """
import torch
from trajmap.objective.objective import Objective
from parts import make

def make_objective():
    from late import scale
    return Objective(make(), lambda m, b: scale * m(b).square().mean(), [torch.ones(2, 3)])
"""
PARTS = """
import torch

def make():
    return torch.nn.Linear(3, 1, bias=False)
"""


def write(folder, scale=1.0):
    folder.mkdir()
    (folder / "objective.py").write_text(OBJECTIVE)
    (folder / "parts.py").write_text(PARTS)
    (folder / "late.py").write_text(f"scale = {scale}\n")
    return f"{folder / 'objective.py'}:make_objective"


@pytest.fixture(autouse=True)
def tidy():
    path, known = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    for name in {"parts", "late", "objective_of_objective", "objective_of_my", "objective_of_C:\\my"} & (
        set(sys.modules) - known
    ):
        del sys.modules[name]


def test_what_lies_beside_is_imported_from_any_folder(tmp_path, monkeypatch):
    spec = write(tmp_path / "mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "parts.py").write_text("raise AssertionError('the wrong folder')\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    objective = load_objective(spec, RUN)
    assert objective.value(np.ones(3)) == pytest.approx(9.0)
    monkeypatch.chdir(tmp_path / "mine")
    assert load_objective("objective.py:make_objective", RUN).size == 3


def test_a_drive_letter_is_part_of_the_path(tmp_path, monkeypatch):
    """A file that is called so here, as a path is on Windows: the last colon ends it."""
    write(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    (tmp_path / "mine" / "C:\\my.py").write_text(OBJECTIVE)
    assert load_objective("C:\\my.py:make_objective", RUN).size == 3
    with pytest.raises(InputError, match=r"FILE.py:FUNCTION with an existing file, got 'C:\\\\my.py'"):
        load_objective("C:\\my.py", RUN)


def test_two_folders_do_not_mix(tmp_path):
    one, two = write(tmp_path / "one", 1.0), write(tmp_path / "two", 2.0)
    values = [load_objective(spec, RUN).value(np.ones(3)) for spec in (one, two, one)]
    assert values == pytest.approx([9.0, 18.0, 9.0])


def test_a_file_may_be_called_as_a_package(tmp_path):
    spec = write(tmp_path / "mine")
    (tmp_path / "mine" / "objective.py").rename(tmp_path / "mine" / "torch.py")
    before = sys.modules["torch"]
    assert load_objective(spec.replace("objective.py", "torch.py"), RUN).size == 3
    assert sys.modules["torch"] is before is torch
    del sys.modules["objective_of_torch"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_at_all\n", r"my.py, line 1: ModuleNotFoundError: .*, in the line: import nowhere_at_all"),
        ("def make():\n    return 1 / 0\n", r"my.py, line 2: ZeroDivisionError: .*, in the line: return 1 / 0"),
        ("def make(:\n", r"my.py, line 1: SyntaxError: "),
        ("from broken import x\n", r"broken.py, line 2: KeyError: 'a', in the line: x = \{\}\['a'\]"),
        ("import sys\nsys.exit(0)\n", r"expected that my.py can be imported, got an exit; repair: put what"),
        ("open('/no/such/file')\n", r"my.py, line 1: FileNotFoundError: "),
        ("other = 1\n", r"expected a function make in .*my.py, got none"),
        ("def make():\n    return 3\n", r"expected a function that returns a trajmap.Objective, got 3"),
    ],
)
def test_errors_name_the_users_line(tmp_path, text, message):
    (tmp_path / "my.py").write_text(text)
    (tmp_path / "broken.py").write_text("\nx = {}['a']\n")
    with pytest.raises(InputError, match=r"^--objective: " + message):
        load_objective(f"{tmp_path / 'my.py'}:make", RUN)
