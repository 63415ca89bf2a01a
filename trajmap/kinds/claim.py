"""What is known of a run: claims compared with their nulls."""

from collections.abc import Mapping, Sequence

import numpy as np

from trajmap.data.claim import Claim
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.plots.claims import plot_claims

__all__ = ["CLAIM", "find_claims"]

# claims that need least come first
_ORDER = ("moved", "order", "reproducible", "reproducible-beyond", "loss")


def in_order(claims: Mapping[str, Claim]) -> dict[str, Claim]:
    """Sort claims by what they need, least first; others keep their order, at the end."""
    places = [*(place for place in _ORDER if place in claims), *(place for place in claims if place not in _ORDER)]
    return {place: claims[place] for place in places}


def find_claims(claims: Mapping[str, Claim]) -> Finding:
    """Which of the claims about a run hold."""
    ordered = in_order(claims)
    return Finding(_words, float(sum(claim.holds == "yes" for claim in ordered.values())), facts={"claims": ordered})


def _findings(found: Mapping[str, Claim], context: Context) -> Sequence[Finding]:
    return [find_claims(found)]


def _words(found: Finding) -> str:
    yes, no, unknown = [], [], []
    for place, claim in found.facts["claims"].items():
        of = f" over {place.removeprefix('chart-')}" if place.startswith("chart-") else ""
        if claim.holds == "yes":
            yes.append(f"{claim.name}{of} (p = {claim.p[claim.hardest]:.2g})")
        elif claim.holds == "no":
            no.append(f"{claim.name}{of} ({claim.nulls[claim.hardest]} reach it)")
        else:
            unknown.append(f"{claim.name}{of} ({claim.reason or 'too few draws'})")
    told = [f"Shown: {', '.join(yes)}." if yes else "Nothing beyond the nulls was shown."]
    if not yes and not no:
        told = ["Nothing could be tested."]
    told += [f"Not shown: {'; '.join(no)}."] if no else []
    told += [f"Not known: {', '.join(unknown)}."] if unknown else []
    return " ".join(told)


def _example() -> Claim:
    return Claim("moved with direction", 2.0, np.linspace(0, 1, 39)[None], ("isotropic steps",))


CLAIM = Kind(
    name="claim",
    place="claims/{}",
    noun=Claim,
    order=20,
    section="What is known",
    title="Claims",
    definition="A claim holds where its value is beyond every null, after a correction for the number of choices that "
    "were tried; a claim that does not hold does not prove its opposite; with too few draws it is not known.",
    command="trajmap claims {run} --sister OTHER {objective}",
    example=_example,
    plot=plot_claims,
    caption=lambda claims: "A claim holds where its value is beyond every null; the hardest is drawn.",
    alternative="Values of the claims and the draws of their hardest nulls",
    findings=_findings,
    shown=in_order,
    effort=lambda claim: {"draws": float(claim.draws.shape[1])},
    follows=("length", "objective"),
    together=True,
    wide=True,
)
