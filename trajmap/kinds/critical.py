"""Points where the loss on a chart is level, and what the chart hides there."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.results.critical_points import CriticalPoints
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind

__all__ = ["CRITICAL", "find_critical"]


def find_critical(found: Mapping[str, CriticalPoints]) -> Finding:
    """How many points look critical on the charts, and at how many of them the loss falls off the chart."""
    rows = [
        (len(points.values), int(np.sum(points.hidden_slope)), int(np.sum(points.hidden_saddle)))
        for points in found.values()
    ]
    count, slopes, saddles = (int(total) for total in np.sum(rows, axis=0))
    return Finding(_words, float(count), facts={"slopes": slopes, "saddles": saddles, "names": list(found)})


def _findings(found: Mapping[str, CriticalPoints], context: Context) -> Sequence[Finding]:
    return [find_critical(found)]


def _words(found: Finding) -> str:
    f = found.facts
    text = f"{found.value:.0f} points over {', '.join(f['names'])} are level on the chart"
    if not found.value:
        return text + "."
    return f"{text}; off the chart the loss still falls at {f['slopes']} of them and curves down at {f['saddles']}."


def _example() -> CriticalPoints:
    one = np.ones(2)
    return CriticalPoints(np.eye(2), one, np.array([[1.0, 2], [-1, 2]]), np.array([[1.0, 3], [-2, 3]]), one, one, 0.1)


CRITICAL = Kind(
    name="critical",
    place="critical/{}",
    noun=CriticalPoints,
    order=52,
    section="Charts",
    title="Critical points",
    definition="Minima, saddles and maxima of the loss on the chart. A slope is hidden where the loss falls along its "
    "gradient's part off the chart, a saddle where a curvature off the chart is below −1 % of the highest there.",
    command="trajmap surface {run} --critical {objective}",
    example=_example,
    no_picture="they are marked in the landscape's picture; a sentence describes what they hide",
    findings=_findings,
    follows=("length", "objective"),
)
