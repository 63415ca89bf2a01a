"""Whether the claims are true: 26 processes of known making, the type-I error of each claim, and its power."""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from trajmap.data.claim import ALPHA, Claim
from trajmap.data.gram import isometric_coordinates
from trajmap.data.trajectory import Trajectory
from trajmap.projection.chart_claim import chart_carries_loss
from trajmap.projection.loss_claim import loss_knows_it
from trajmap.reduction.rowspace import RowSpace
from trajmap.scores.claim_direction import moved_with_direction
from trajmap.scores.claim_order import order_matters
from trajmap.scores.claim_reproducible import reproducible, reproducible_beyond_line

Array = Any
Pair = tuple[Array, Array]


def _processes() -> ModuleType:
    """Import the file beside this one, which is in no package."""
    import importlib.util
    import sys

    name = "believability_processes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("processes.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def geometric_claims(run: Array, sister: Array, **options: Any) -> list[Claim]:
    """Make the claims that need no objective, of a run (T, P) and its sister."""
    both = isometric_coordinates(np.vstack([run, sister]))
    X, Y, size = both[: len(run)], both[len(run) :], run.shape[1]
    return [
        moved_with_direction(X, size=size, **options),
        order_matters(X, size=size, **options),
        reproducible(X, Y, size=size, **options),
        reproducible_beyond_line(X, Y, size=size, **options),
    ]


def loss_claims(process: Any, seed: int) -> list[Claim]:
    """Make the claims that need the objective; the chart is two principal components, or one of a straight line."""
    run = Trajectory.of(process.run, layout=process.objective.layout)

    def fit(rows: Array) -> Any:
        space = RowSpace().fit(process.run[rows])
        return make_pipeline(RowSpace(), PCA(min(2, space.n_components_))).fit(process.run[rows])

    return [
        loss_knows_it(process.objective, run, random_state=seed),
        chart_carries_loss(process.objective, fit, run, random_state=seed),
    ]


def wrong(claim: Claim, *, truth: bool | None) -> bool:
    """Whether a claim says yes of what is not so, or no of what is; an unknown is not wrong."""
    return (claim.holds == "yes" and truth is False) or (claim.holds == "no" and truth is True)


def table(seeds: range, names: list[str]) -> list[dict[str, Any]]:
    """Every claim of every process beside its truth."""
    made, rows = _processes(), []
    for name in names:
        for seed in seeds:
            process = made.process(name, seed)
            geometry = geometric_claims(process.run, process.sister, random_state=seed)
            for claim in [*geometry, *loss_claims(process, seed)]:
                truth = process.truth[claim.name]
                rows.append({
                    "process": name, "seed": seed, "claim": claim.name, "holds": claim.holds, "truth": truth,
                    "value": claim.value, "p": dict(zip(claim.nulls, claim.p.tolist(), strict=True)),
                    "wrong": wrong(claim, truth=truth),
                })  # fmt: skip
    return rows


def told(rows: list[dict[str, Any]]) -> str:
    """Lay out the table, a line a process, a column a claim: how many seeds said yes, ! where one was wrong."""
    claims = list(dict.fromkeys(row["claim"] for row in rows))
    lines = ["".ljust(30) + "  ".join(claims)]
    for name in dict.fromkeys(row["process"] for row in rows):
        line = name.ljust(30)
        for claim in claims:
            cell = [row for row in rows if row["process"] == name and row["claim"] == claim]
            counts = [f"{sum(row['holds'] == h for row in cell)} {h}" for h in ("yes", "no", "unknown")]
            text = ", ".join(part for part in counts if not part.startswith("0 "))
            line += (text + ("!" if any(row["wrong"] for row in cell) else "")).ljust(len(claim) + 2)
        lines.append(line)
    return "\n".join(lines)


# ---------------------------------------------------------------- cheap processes for the type-I error and the power


def _noise(rng: np.random.Generator, kind: str, n: int, size: int) -> Array:
    """Make steps whose directions are independent: isotropic, of falling scales, or in three dimensions of all."""
    scales = np.ones(size)
    if kind == "anisotropic":
        scales = np.arange(1.0, size + 1) ** -0.75
    elif kind == "3 dimensions":
        scales = (np.arange(size) < 3).astype(float)
    return rng.normal(size=(n, size)) * scales * np.sqrt(1 / np.sum(scales**2))


def _summed(steps: Array) -> Array:
    return np.vstack([np.zeros(steps.shape[1]), np.cumsum(steps, axis=0)])


def drift(rng: np.random.Generator, kind: str, strength: float, *, falling: bool = False) -> Array:
    """Make a drift plus noise; its steps get shorter where the rate falls."""
    steps = _noise(rng, kind, N, SIZE)
    steps[:, 0] += strength
    return _summed(steps * (np.geomspace(1, 0.1, N)[:, None] if falling else 1.0))


def pulled(rng: np.random.Generator, kind: str, pull: float, away: float) -> Array:
    """Make a pull to a point that is so far away plus noise."""
    path = np.zeros((N + 1, SIZE))
    for t, kick in enumerate(_noise(rng, kind, N, SIZE)):
        path[t + 1] = (1 - pull) * path[t] + kick
        path[t + 1, 1] += pull * away
    return path


def jitter(rng: np.random.Generator, kind: str) -> Array:
    """Shake about the start."""
    return np.vstack([np.zeros(SIZE), _noise(rng, kind, N, SIZE)])


def martingale(rng: np.random.Generator, kind: str) -> Array:
    """Make steps whose axes remember each other, with random signs."""
    steps = _noise(rng, kind, N, SIZE)
    for t in range(1, N):
        steps[t] += 0.8 * steps[t - 1]
    return _summed(steps * rng.choice([-1.0, 1.0], size=(N, 1)))


def remembering(rng: np.random.Generator, memory: float) -> Array:
    """Make steps that remember the step before."""
    steps = _noise(rng, "isotropic", N, SIZE)
    for t in range(1, N):
        steps[t] += memory * steps[t - 1]
    return _summed(steps)


def arc(rng: np.random.Generator, angle: float) -> Array:
    """Go along an arc of this angle, with noise."""
    along = np.linspace(0, 1, N + 1)
    way = np.stack([np.sin(angle * along), 1 - np.cos(angle * along)], axis=1) / angle * N * 0.4
    return way @ np.eye(2, SIZE) + drift(rng, "isotropic", 0.0)


N, SIZE = 40, 120
KINDS = ("isotropic", "anisotropic", "3 dimensions")
Make = Callable[[np.random.Generator], Array]


def calm() -> dict[str, dict[str, Make]]:
    """List for each claim processes of which it is not true."""
    walks = {f"walk, {k}": _made(drift, k, 0.0) for k in KINDS}
    falling = {"walk, 3 dimensions, falling rate": _made(drift, "3 dimensions", 0.0, falling=True)}
    drifts = {f"drift plus noise, {k}": _made(drift, k, 0.3) for k in KINDS}
    pulls = {f"pull to a point, {k}": _made(pulled, k, 0.05, 8.0) for k in KINDS[:2]}
    shaken = {f"jitter, {KINDS[0]}": _made(jitter, KINDS[0])}
    flipped = {f"martingale, {KINDS[1]}": _made(martingale, KINDS[1])}
    return {
        "moved with direction": walks | falling | flipped,
        "order matters": walks | drifts | shaken | flipped,
        "reproducible": walks | falling | shaken,
        "reproducible beyond a straight line": drifts | pulls,
    }


def _made(make: Callable[..., Array], *settings: Any, **options: Any) -> Make:
    return lambda rng: make(rng, *settings, **options)


def ask(name: str, make: Make, seed: int) -> Claim:
    """Make one claim of one process."""
    rng = np.random.default_rng([seed, 5])
    pair = [make(rng) for _ in range(2)]
    if name in {"moved with direction", "order matters"}:
        claim = moved_with_direction if name == "moved with direction" else order_matters
        return claim(pair[0], size=SIZE, random_state=seed)
    return (reproducible if name == "reproducible" else reproducible_beyond_line)(*pair, size=SIZE, random_state=seed)


def rate(name: str, make: Make, repeats: range) -> float:
    """How often the claim holds."""
    return float(np.mean([ask(name, make, seed).holds == "yes" for seed in repeats]))


def power(repeats: range) -> dict[str, float]:
    """How often each claim holds as its effect grows."""
    found = {}
    for strength in (0.05, 0.1, 0.2, 0.4):
        for name in ("moved with direction", "reproducible"):
            key = f"{name}, drift {strength:g} of the noise"
            found[key] = rate(name, _made(drift, "isotropic", strength), repeats)
    for memory in (0.03, 0.1, 0.3, 0.6):
        key = f"order matters, memory {memory:g}"
        found[key] = rate("order matters", _made(remembering, memory), repeats)
    for angle in (0.25, 0.5, 1.0, 2.0):
        name = "reproducible beyond a straight line"
        found[f"{name}, arc of {angle:g}"] = rate(name, _made(arc, angle), repeats)
    return found


def main(out: Path, *, seed: int = 0, quick: bool = False) -> dict[str, float]:
    """Run all three parts and keep ``believability.json``; the numbers are shares."""
    names = list(_processes().PROCESSES)
    rows = table(range(seed, seed + (1 if quick else 2)), names[::5] if quick else names)
    repeats = range(seed, seed + (2 if quick else 100))
    type_one = {
        f"{name}: {process}": rate(name, make, repeats)
        for name, processes in calm().items()
        for process, make in list(processes.items())[: 1 if quick else None]
    }
    curves = power(range(seed, seed + (1 if quick else 20)))
    judged = [row for row in rows if row["truth"] is not None]
    numbers = {
        "false of the table": float(np.mean([row["wrong"] for row in judged])),
        "unknown of the table": float(np.mean([row["holds"] == "unknown" for row in judged])),
        "largest type-I error": max(type_one.values()),
        "share of type-I errors beyond .08": float(np.mean([value > ALPHA + 0.03 for value in type_one.values()])),
    }
    kept = {"numbers": numbers, "table": rows, "type-I": type_one, "power": curves}
    (Path(out) / "believability.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(told(rows))
    for key, value in (type_one | curves | numbers).items():
        print(f"{key:<72} {value:.3f}")
    return numbers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    main(parser.parse_args().out or Path(tempfile.mkdtemp()))
