"""Loss across the averaged end of a run."""

import numpy as np

from trajmap.data.results.line_profiles import LineProfiles
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.lines import plot_lines

__all__ = ["VALLEY", "find_valley"]


def find_valley(profiles: LineProfiles) -> Finding:
    """How much faster one side of the averaged end rises than the other, compared with random directions."""
    sides = dict(zip(profiles.names, profiles.asymmetries, strict=True))
    random = [abs(side) for name, side in sides.items() if name.startswith("random")]
    own = {name: float(side) for name, side in sides.items() if not name.startswith("random")}
    most = max(own, key=lambda name: abs(np.nan_to_num(own[name])), default="")
    facts = {"name": most, "through": profiles.through, "random": max(random, default=np.nan), "n": len(random)}
    return Finding(_words, own.get(most, np.nan), facts=facts)


def _words(found: Finding) -> str:
    f = found.facts
    text = f"Across {f['through']} the two sides differ most along {f['name']}: asymmetry {found.value:+.3g}"
    return f"{text} (random directions, {f['n']}: up to {f['random']:.2g})."


def _example() -> LineProfiles:
    offsets = np.linspace(-1, 1, 5)
    losses = np.stack([(offsets - 0.3) ** 2 + 0.1, offsets**2 + 0.1])
    names, kinds = ["the path's mean direction", "random 1"], ["v-side", "v-basin"]
    return LineProfiles(offsets, losses, names, kinds, "the mean of the last 5 iterates")


VALLEY = Kind(
    name="valley",
    place="valley",
    noun=LineProfiles,
    order=91,
    section="Asymmetry",
    title="Valley across the averaged end",
    definition="Mean rise of the loss on the right less that on the left, over their sum, −1 to 1; 0 for a symmetric "
    "valley. He et al. 2019.",
    command="trajmap lines {run} {objective}",
    example=_example,
    plot=plot_lines,
    caption=lambda profiles: "Across the averaged end of the run; grey: random directions.",
    alternative="Loss along the path's mean direction through the mean of the last iterates",
    findings=each(find_valley),
    follows=("length", "objective"),
)
