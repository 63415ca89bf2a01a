"""Does ½ tr(H Cov) over a late window forecast how high a run shakes above its average? Five rates, three seeds."""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from trajmap.basins.valleys import valley_height
from trajmap.data.trajectory import Trajectory
from trajmap.examples import digits

RATES = (0.02, 0.05, 0.1, 0.2, 0.4)


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Train, forecast, average, and correlate in logarithms.

    Parameters
    ----------
    out : path-like
        Folder for the runs and ``valley.json``.
    seed : int
        Added to every seed.
    quick : bool
        Two rates, one seed, few epochs.

    Returns
    -------
    dict of str to float
        The correlation, the median of height over forecast, and every pair.
    """
    objective, numbers, pairs = digits.objective(), {}, []
    for rate in RATES[-2:] if quick else RATES:
        for i in range(1 if quick else 3):
            folder = digits.train(
                Path(out) / f"lr{rate}-{i}", lr=rate, epochs=3 if quick else 40, batch_size=32,
                init_seed=seed + i, order_seed=seed + i, every=4 if quick else 10,
            )  # fmt: skip
            found = valley_height(objective, Trajectory.open(folder), n_products=8 if quick else 30)
            pairs.append((found.forecast, found.height))
            numbers[f"lr {rate} seed {i}: forecast"], numbers[f"lr {rate} seed {i}: height"] = (
                found.forecast,
                found.height,
            )
            print(f"lr {rate:<5} seed {i}: {found}")
    forecast, height = np.array(pairs).T
    numbers["median height / forecast"] = float(np.median(height / forecast))
    known = (forecast > 0) & (height > 0)
    numbers["pairs above zero"] = float(known.mean())
    if known.sum() > 2:
        numbers["log-log correlation"] = float(np.corrcoef(np.log(forecast[known]), np.log(height[known]))[0, 1])
    (Path(out) / "valley.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    print({key: round(value, 3) for key, value in numbers.items() if "lr" not in key})
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
