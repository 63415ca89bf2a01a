"""The writer of a run: one process at a time, named in a file that only one process can create.

The file ``writer.json`` is created with ``O_EXCL``, which all known file systems support, also NFS, where locks of
``fcntl`` or ``flock`` may fail or have no effect. It contains the host, the process and the start time of the process.
On its own host a writer is gone if no process with this number and start time runs; on another host, if it has not
touched its file for five minutes, which it does twice a minute. Ages are measured by the clock of the file system.
"""

import contextlib
import dataclasses
import json
import os
import platform
import secrets
import time
from pathlib import Path

from trajmap._validation import worded
from trajmap.errors import FolderTakenError

__all__ = ["Owner", "Ownership", "owner_of"]

OWNER = "writer.json"
BEAT = 30.0  # seconds between signs of life
_SILENT = 300.0  # seconds without one, after which a writer on another host counts as gone
_LONGEST = 4096


@dataclasses.dataclass(frozen=True)
class Owner:
    """A process that writes a run.

    Parameters
    ----------
    host : str
        The machine's name.
    space : str
        Scope of its process number: the boot of the machine, and the container.
    pid : int
        The process.
    born : str
        When it started, in the system's units; empty if unknown.
    since : float
        When it began to write.
    token : str
        Random, one per recording.
    """

    host: str
    space: str
    pid: int
    born: str
    since: float
    token: str

    @classmethod
    def present(cls) -> "Owner":
        """Name this process."""
        return cls(platform.node(), _space(), os.getpid(), _born(os.getpid()), time.time(), secrets.token_hex(8))

    def lives(self, silent: float) -> bool:
        """Whether it still runs, as far as known here; `silent` is the time since its last sign of life."""
        here = Owner.present()
        if (self.host, self.space) == (here.host, here.space):
            if self.born:
                return _born(self.pid) == self.born
            if not _runs(self.pid):
                return False
        # a clock that went back is corrected by the next sign of life
        return abs(silent) < _SILENT

    def __str__(self) -> str:
        begun = _moment(self.since)
        return f"process {self.pid} on {self.host} since {begun}"


class Ownership:
    """The right to write a run folder, until it is released.

    Parameters
    ----------
    folder : pathlib.Path
        The existing run folder.

    Raises
    ------
    FolderTakenError
        If another process has it.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._owner = folder / OWNER, Owner.present()
        for _ in range(8):
            if self._make():
                break
            found, silent = _read(self._path)
            if found is not None and found.lives(silent):
                self._refuse(found)
            _remove(self._path, found)
        if not self.holds():
            self._refuse(_read(self._path)[0])
        self._beaten = time.monotonic()

    def _refuse(self, found: Owner | None) -> None:
        repair = f"end that one first; if it is gone, remove {self._path}"
        folder = self._path.parent
        got = f"one that {found} writes" if found else "one that another process writes"
        raise FolderTakenError(worded(str(folder), "a run without another writer", got, repair))

    def _make(self) -> bool:
        content = json.dumps(dataclasses.asdict(self._owner)).encode()
        try:
            handle = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        try:
            os.write(handle, content)
        finally:
            os.close(handle)
        return True

    def holds(self) -> bool:
        """Whether this process still owns the run: a removed file is recreated, another writer's ends it."""
        try:
            return _parse(self._path) == self._owner
        except FileNotFoundError:
            return self._make()
        except OSError:  # a file that cannot be read now does not end the ownership
            return True

    def beat(self) -> None:
        """Give a sign of life, if the last is some time ago."""
        if time.monotonic() - self._beaten > BEAT:
            self._beaten = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def release(self) -> None:
        """Release the right to write."""
        if _read(self._path)[0] == self._owner:
            with contextlib.suppress(OSError):
                self._path.unlink()


def owner_of(folder: Path) -> tuple[Owner, bool] | None:
    """Return the writer that has not ended a run, and whether it lives; None if there is none.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder; nothing in it is changed.

    Returns
    -------
    tuple of Owner and bool, or None
        The writer.
    """
    found, silent = _read(folder / OWNER, ask=False)
    return None if found is None else (found, found.lives(silent))


def _read(path: Path, *, ask: bool = True) -> tuple[Owner | None, float]:
    """Read the owner of a run and the time since its last sign of life; None for a file without an owner."""
    try:
        if not path.is_file():
            return None, 0.0
        touched = path.stat().st_mtime
        return _parse(path), (_clock(path.parent) if ask else time.time()) - touched
    except OSError:
        return None, 0.0


def _parse(path: Path) -> Owner | None:
    with path.open("rb") as file:
        content = file.read(_LONGEST)
    try:
        words = json.loads(content)
        numbers = int(words["pid"]), str(words["born"]), float(words["since"])
        return Owner(str(words["host"]), str(words["space"]), *numbers, str(words["token"]))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _moment(since: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def _remove(path: Path, stale: Owner | None) -> None:
    """Remove a dead writer's file, and restore it if a living one was faster."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        if stale is None:
            time.sleep(0.05)  # it may be about to be written
            if _read(path)[0] is not None:
                return
        path.replace(aside)
        if _read(aside)[0] != stale:
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink()
    except FileNotFoundError:
        return


def _clock(folder: Path) -> float:
    """Read the clock of a file system."""
    probe = folder / f"{OWNER}.{secrets.token_hex(4)}.part"
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _space() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    """Whether there is such a process, if the system can be asked safely."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _born(pid: int) -> str:
    """When a process started, in the system's units; empty for no process or if unknown."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in {"Z", "X"} else words[19]  # state comes first after the name; a zombie writes nothing
