"""What averaging the last iterates of a run gains."""

from trajmap.data.results.valley_height import ValleyHeight
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Kind, each
from trajmap.plots.valley_height import plot_valley_height

__all__ = ["VALLEY_HEIGHT", "find_valley_height"]


def find_valley_height(found: ValleyHeight) -> Finding:
    """Whether the mean of the last iterates has a lower loss than the last one."""
    return Finding(
        _words, found.gain, "averaging the last iterates lowers the loss", found.holds, low=found.low, high=found.high,
        null=(0.0, 0.0), facts={"text": str(found)},
    )  # fmt: skip


def _words(found: Finding) -> str:
    text = str(found.facts["text"])
    return f"{text[0].upper()}{text[1:]}."


def _example() -> ValleyHeight:
    return ValleyHeight(0.2087, 0.2297, 0.2324, -0.025, -0.017, 0.003, 0.001, 14)


VALLEY_HEIGHT = Kind(
    name="valley_height",
    place="valley_height",
    noun=ValleyHeight,
    order=119,
    section="Basins",
    title="Valley height",
    definition="Gain: loss of the last iterate above the loss of the mean of the last iterates. Height: their mean "
    "loss above the loss of their mean, ½ tr(H Cov) in a quadratic valley.",
    command="trajmap basin {run} {objective}",
    example=_example,
    plot=plot_valley_height,
    caption=lambda found: "What averaging gains, and how far the run fluctuates.",
    alternative="Losses of the last iterate, of the average and of the iterates around it",
    findings=each(find_valley_height),
    effort=lambda found: {"iterates": float(found.n_iterates)},
    follows=("length", "objective"),
)
