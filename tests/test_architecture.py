"""The house rules, held by measurement: who imports whom, how large a piece may be, what an import costs."""

import abc
import ast
import functools
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "trajmap"
MODULES = sorted(PACKAGE.rglob("*.py"))
SHARED = {"_models", "_validation", "_registry", "_optional", "errors"}

# room: the rooms it may import (itself and the shared modules always)
ALLOWED: dict[str, set[str]] = {
    "data": set(),
    "recording": {"data"},
    "reduction": {"data"},
    "scores": {"data"},
    "topology": {"data"},
    "objective": {"data"},
    "plots": {"data"},
    "basins": {"data", "objective"},
    "projection": {"data", "objective", "basins"},
    "curvature": {"data", "objective", "basins", "projection"},
    "directions": {"data", "objective", "curvature", "reduction"},
    "sensitivity": {"data", "objective", "projection"},
    "integrations": {"data", "recording"},
    "examples": {"data", "recording", "objective"},
    "kinds": {"data", "plots"},
    "report": {"data", "plots", "scores", "kinds"},
    "cli": {
        "data", "recording", "reduction", "scores", "objective", "plots", "projection", "basins", "curvature",
        "directions", "report", "examples", "topology", "sensitivity", "kinds",
    },
}  # fmt: skip
TORCH_FREE = {"data", "scores", "topology", "plots", "kinds", "report"}
HEAVY = {"torch", "umap", "pydiffmap", "numba", "sklearn", "scipy", "matplotlib"}


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downward(path):
    room = room_of(path)
    if room in {"__init__", "__main__"}:
        return
    for name in imports(parsed(path)):
        head, *rest = name.split(".")
        if head != "trajmap" or not rest or rest[0] in SHARED:
            continue
        assert room not in SHARED, f"{path}: a shared module imports the room {rest[0]}"
        assert rest[0] in ALLOWED[room] | {room}, f"{path}: {room} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_names_come_from_the_file_that_defines_them(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trajmap."):
            folder = ROOT.joinpath(*node.module.split("."))
            names = {alias.name for alias in node.names}
            submodules = {p.stem for p in folder.glob("*.py")} | {p.name for p in folder.glob("*/")}
            assert not folder.is_dir() or names <= submodules, f"{path}: imports {names} from a package"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_sizes(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500, f"{path} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 50, f"{path}:{node.lineno} {node.name} has {lines} lines"
            arguments = len(node.args.args) + len(node.args.kwonlyargs)
            # what a user configures: each option is an independent choice with a default
            configured = {
                ("recorder", "__init__"), ("objective", "__init__"), ("surfaces", "surface"), ("barriers", "barrier"),
                ("eigenspace", "top_eigenspace"), ("path", "eigenspace_path"),
            }  # fmt: skip
            most = 15 if (path.stem, node.name) in configured else 10
            assert arguments <= most, f"{path}:{node.lineno} {node.name} takes {arguments} arguments"


def test_every_room_is_ruled():
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_public_has_its_modules_name(path):
    # trajmap.projection.surface would be the module or the function, by what was imported last
    names = {node.name for node in parsed(path).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert path.stem not in names


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_trajmap_loads_nothing_heavy():
    assert not modules_after("import trajmap") & (HEAVY | {"numpy"})


@pytest.mark.parametrize("room", sorted(TORCH_FREE))
def test_torch_free_rooms(room):
    if not (PACKAGE / room).is_dir():
        pytest.skip("not built yet")
    files = [p for p in MODULES if room_of(p) == room]
    names = [str(p.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__") for p in files]
    assert "torch" not in modules_after("import " + ", ".join(names))


def test_import_time():
    # measured inside a fresh process, the best of three: the interpreter's own start does not count
    code = "import time; t = time.perf_counter(); import trajmap; print(time.perf_counter() - t)"
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3)]
    assert min(times) < 0.3


def test_public_names_exist_and_are_documented():
    import trajmap

    for name in trajmap.__all__:
        assert getattr(trajmap, name).__doc__, name
    assert set(trajmap.__all__) <= set(dir(trajmap))
    with pytest.raises(AttributeError, match="attribute nonsense"):
        _ = trajmap.nonsense


def overridden(classes) -> list[str]:
    """Methods that do something in one of our classes and are written anew in a class of it; constructors are free."""
    found = []
    for cls in classes:
        for base in cls.__mro__[1:]:
            ours = base.__module__.partition(".")[0] == cls.__module__.partition(".")[0]
            if not ours or getattr(base, "_is_protocol", False):
                continue
            for name in vars(base).keys() & vars(cls).keys() - {"__init__", "__post_init__"}:
                method = vars(base)[name]
                if method is vars(cls)[name]:  # put into the class once more, as a dataclass would put its own
                    continue
                function = getattr(method, "fget", None) or getattr(method, "func", None)  # of a property
                function = function or getattr(method, "__func__", method)
                made = inspect.isfunction(function) and function.__code__.co_filename == "<string>"  # by dataclass
                if inspect.isfunction(function) and not made and not getattr(method, "__isabstractmethod__", False):
                    found.append(f"{cls.__module__}.{cls.__qualname__} overrides {base.__qualname__}.{name}")
    return found


def test_methods_are_abstract_or_final():
    classes = set()
    for path in MODULES:
        if path.stem != "__main__":
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            classes |= {value for value in vars(importlib.import_module(name)).values() if inspect.isclass(value)}
    ours = [cls for cls in classes if cls.__module__.startswith("trajmap.")]
    assert len(ours) > 100
    assert not overridden(ours)


def test_an_overridden_method_is_seen():
    class Base:
        def method(self):
            return 1

        @property
        def value(self):
            return 1

        @functools.cached_property
        def kept(self):
            return 1

        @classmethod
        def made(cls):
            return 1

        @abc.abstractmethod
        def hook(self):
            """Nothing."""

        def same(self):
            return 1

    class Derived(Base):
        method, value, kept, made, hook = (lambda self: 2,) * 5
        same = Base.same

    assert {line.rpartition(".")[2] for line in overridden([Derived])} == {"method", "value", "kept", "made"}


GENERATORS = {"default_rng", "RandomState", "Generator", "Random", "SeedSequence", "PCG64", "manual_seed", "seed"}


def shared_generators(tree: ast.Module) -> list[int]:
    """Lines of a module that make a generator, or seed the process's own, when the module is read."""
    pending, found = list(tree.body), []
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):  # its defaults are made at once
            pending += [default for default in [*node.args.defaults, *node.args.kw_defaults] if default is not None]
            pending += getattr(node, "decorator_list", [])
            continue
        if isinstance(node, ast.Call):
            called = node.func
            name = getattr(called, "attr", getattr(called, "id", None))
            if name in GENERATORS:
                found.append(node.lineno)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
            pending += [*node.value.args, *node.value.keywords]  # drawn from at once, and kept by nobody
            continue
        pending += ast.iter_child_nodes(node)
    return sorted(found)


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_tests_share_no_generator(path):
    """Each test draws from a generator of its own (fixture `rng`), so that none depends on those before it."""
    assert not shared_generators(parsed(path))


def test_a_shared_generator_is_seen():
    code = """
rng = np.random.default_rng(0)
A, B = torch.Generator().manual_seed(1), 2
DATA = np.random.default_rng(0).normal(size=3)  # numbers, not a generator
torch.manual_seed(0)
class Table:
    rng = RandomState(0)
def helper(rng=np.random.default_rng(0)):
    return np.random.default_rng(0)
@pytest.fixture
def own():
    return np.random.default_rng(0)
DRAW = lambda: default_rng(0)
"""
    assert shared_generators(ast.parse(code)) == [2, 3, 5, 7, 8]
