"""Attacks on runs: how many, how their outcome is counted, and disks to fill."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess

import pytest

LONG = os.environ.get("TRAJMAP_FAULTS") == "long"
_TALLIES = []


@dataclasses.dataclass
class Tally:
    """What came of one kind of attack."""

    attack: str
    tries: int = 0
    lost: int = 0
    wrong: int = 0
    hung: int = 0

    @contextlib.contextmanager
    def attempt(self, seconds=60):
        """Count a try, and one that does not end in time as hung."""
        self.tries += 1

        def ring(number, frame):
            raise TimeoutError(f"{self.attack}: no end within {seconds} s")

        before = signal.signal(signal.SIGALRM, ring)
        signal.alarm(seconds)
        try:
            yield
        except TimeoutError:
            self.hung += 1
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)

    def require_nothing(self):
        assert (self.lost, self.wrong, self.hung) == (0, 0, 0), self


def pytest_collection_modifyitems(items):
    """What attacks a run takes its time."""
    for item in items:
        if pathlib.Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def tally(request):
    """Count the outcomes of a test's attacks, for the table at the end."""

    def begin(attack):
        found = Tally(attack)
        _TALLIES.append(found)
        return found

    return begin


@pytest.fixture
def tries():
    """Choose the number of attacks: a few in the normal suite, all of them in the long one."""
    return lambda few, all_of_them: all_of_them if LONG else few


@pytest.fixture
def small_disk(tmp_path):
    """Make file systems of a few kilobytes; each can be made larger, or read-only, by mounting it again."""
    mounted = []

    def order(*words):
        return subprocess.run(["mount", "-t", "tmpfs", *words], check=False, capture_output=True).returncode

    def mount(kilobytes, *, again=None, options=""):
        disk = again or tmp_path / f"disk-{len(mounted)}"
        disk.mkdir(exist_ok=True)
        words = ("remount," if again else "") + f"size={kilobytes}k" + options
        if os.geteuid() != 0 or order("-o", words, "tmpfs", str(disk)):
            pytest.skip("no file system can be mounted here")
        if not again:
            mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", str(disk)], check=True)


def pytest_terminal_summary(terminalreporter):
    """Print the table: attack, tries, lost, wrong, hung."""
    if _TALLIES and LONG:
        terminalreporter.write_line("| attack | tries | lost | wrong | hung |\n|---|---|---|---|---|")
        for t in _TALLIES:
            terminalreporter.write_line(f"| {t.attack} | {t.tries:,} | {t.lost} | {t.wrong} | {t.hung} |")
