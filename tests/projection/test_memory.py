"""What a surface holds beside the run on disk: copies of θ, measured in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import numpy as np, torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from trajmap.data.results.landscape import Grid
from trajmap.data.plane import Plane
from trajmap.data.trajectory import Trajectory
from trajmap.objective.objective import Objective
from trajmap.projection.surfaces import surface
from trajmap.reduction.rowspace import RowSpace


def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def copies(width, T, folder):
    torch.manual_seed(0)
    layers = torch.nn.Linear(64, width), torch.nn.Tanh(), torch.nn.Linear(width, width), torch.nn.Linear(width, 4)
    objective = Objective(torch.nn.Sequential(*layers), lambda m, x: m(x).square().mean(), [torch.randn(16, 64)])
    rng, theta = np.random.default_rng(0), objective.theta
    rows = np.cumsum(0.01 * rng.standard_normal((T, len(theta)), dtype=np.float32), axis=0) + theta
    Trajectory.of(rows, layout=objective.layout).save(folder)
    run = Trajectory.open(folder)
    if sys.argv[1] == "plane":
        chart = Plane(theta, rng.standard_normal((2, len(theta)), dtype=np.float32))
        grid = Grid((np.linspace(-0.1, 0.1, 5),) * 2)
    else:
        chart = make_pipeline(RowSpace(), PCA(2)).fit(run.iterates)
        grid = Grid.around(chart.transform(run.iterates), n_points=5)
    del rows
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is counted from here
    before = status("VmRSS")
    surface(objective, chart, grid, trajectory=run)
    return (status("VmHWM") - before) / (4 * len(theta))


copies(20, 4, sys.argv[2] + "/small")  # what is imported and allocated once
print(copies(1400, 24, sys.argv[2] + "/large"))
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("chart", "most"), [("plane", 3 + 3), ("pca", 3 + 3)])
def test_a_surface_with_its_run_holds_three_copies_beside_the_frame(chart, most, tmp_path):
    """P = 2.1e6: the frame on the model's device is three copies (an origin, two vectors); a run is 24."""
    line = [sys.executable, "-c", SCRIPT, chart, str(tmp_path)]
    # freed arrays go back to the system at once: what an allocator keeps for later would be counted by chance
    kept = {"MALLOC_MMAP_THRESHOLD_": "65536"}
    found = subprocess.run(line, capture_output=True, text=True, check=True, env=os.environ | kept)
    assert float(found.stdout) <= most
