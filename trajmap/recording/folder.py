"""The folder of a run before it begins: free, taken, or to be cleared of trajmap's files."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from trajmap._validation import worded
from trajmap.data.atomic import is_part
from trajmap.data.memory import MEMORY
from trajmap.data.owner import OWNER
from trajmap.data.store.store import RunHeader
from trajmap.errors import FolderTakenError, InputError, RunFormatError

__all__ = ["clear_parts", "empty", "require_free"]

# files of the recorder and the verbs, as patterns below the run folder; the header is removed last, so that the folder
# can still be overwritten after an interrupted removal
_OURS = (
    "iterates/*.safetensors", "shard-*/iterates/*.safetensors", "full/iterates/*.safetensors",
    "moments/*.npz", "shard-*/moments/*.npz",
    "artefacts/**/*.npz", "artefacts/figures/*.png", "artefacts/figures/*.svg", "artefacts/figures/*.pdf",
    "report.html", MEMORY, f"shard-*/{MEMORY}", f"full/{MEMORY}", "shard-*/run.json", "full/run.json", "run.json",
)  # fmt: skip
_PARTS = ("*.part", "iterates/*.part", "moments/*.part", "artefacts/**/*.part")
_FOLDERS = (
    "iterates",
    "moments",
    "shard-*/iterates",
    "shard-*/moments",
    "shard-*",
    "full/iterates",
    "full",
    "artefacts/*",
    "artefacts",
)


def require_free(path: Path, *, overwrite: bool, resume: bool) -> bool:
    """Raise unless a run can be made at a path; return whether there is one to resume."""
    if not path.exists() or (path.is_dir() and _is_blank(path)):
        return False
    try:
        RunHeader.read(path)
    except RunFormatError as error:
        raise InputError(
            worded(
                "path", "a new folder, an empty one or a run", f"{path}, which is something else", "name another folder"
            )
        ) from error
    if not overwrite and not resume:
        repair = "pass overwrite=True to replace it, or resume=True to continue it"
        raise FolderTakenError(worded("path", "a new or empty folder", f"{path}, which holds a run", repair))
    return resume


def clear_parts(folder: Path) -> None:
    """Remove the temporary files of interrupted writes."""
    for pattern in _PARTS:
        for path in folder.glob(pattern):
            if is_part(path.name):
                _remove(path)


def empty(folder: Path) -> None:
    """Remove trajmap's files of an earlier run; the user's own files stay."""
    for path in _ours(folder):
        _remove(path)
    for pattern in _FOLDERS:
        for path in folder.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()  # only if nothing is left in it


def _ours(folder: Path) -> Iterator[Path]:
    for pattern in _OURS:
        yield from sorted(folder.glob(pattern))


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)


def _is_blank(folder: Path) -> bool:
    """Whether a folder is empty, or holds only a run that was killed before its header was written."""
    names = {child.name for child in folder.iterdir()}
    ours = {name for name in names if is_part(name)} | {"iterates", OWNER}
    return names <= ours and not any(folder.glob("iterates/*"))
