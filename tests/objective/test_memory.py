"""How much memory is free, on systems that tell it, tell something else, or nothing."""

import os
import pathlib
import resource
import subprocess
import sys

import numpy as np
import pytest

from trajmap.objective import memory
from trajmap.objective.memory import free_memory, used_memory

LINUX = pytest.mark.skipif(not pathlib.Path("/proc/meminfo").exists(), reason="no /proc")


@pytest.fixture
def no_proc(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_STATM", tmp_path / "statm")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)


def test_half_of_the_machine_where_only_that_is_told(no_proc, monkeypatch):
    told = {"SC_PHYS_PAGES": 2**21, "SC_PAGE_SIZE": 2**14}
    monkeypatch.setattr(os, "sysconf", lambda name: told[name])
    assert free_memory() == 2**34
    assert used_memory() == 0


@pytest.mark.parametrize("error", [ValueError("unrecognized configuration name"), OSError("not told")])
def test_an_assumption_where_nothing_is_told(error, no_proc, monkeypatch):
    def sysconf(_):
        raise error

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert free_memory() == 4 * 2**30


def test_windows_has_no_sysconf(no_proc, monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setattr(sys, "platform", "win32")
    assert free_memory() == 4 * 2**30
    assert used_memory() == 0


@LINUX
def test_used_memory_grows_by_what_is_taken():
    before = used_memory()
    taken = np.ones(2**23)
    assert used_memory() - before == pytest.approx(taken.nbytes, rel=0.1)


@pytest.mark.slow
@LINUX
def test_a_limit_on_the_address_space_counts():
    code = (
        "import resource; from trajmap.objective.memory import free_memory;"
        "pages = int(open('/proc/self/statm').read().split()[0]);"
        "resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**27,) * 2);"
        "print(free_memory())"
    )
    told = float(subprocess.check_output([sys.executable, "-c", code]))
    assert 0 < told <= 2**27
