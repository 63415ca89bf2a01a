"""The results of the command line, and their places in the run folder."""

import dataclasses
import os
from pathlib import Path
from typing import TypeVar

from trajmap.data.archive import Saved
from trajmap.data.claim import Claim
from trajmap.data.reduction import Reduction
from trajmap.data.results.alignment import Alignment
from trajmap.data.results.basin_profile import BasinProfile
from trajmap.data.results.connection import Connection
from trajmap.data.results.eigenspace import Eigenspace
from trajmap.data.results.landscape import Landscape
from trajmap.data.results.lift_gap import LiftGap
from trajmap.data.results.merge_tree import MergeTree
from trajmap.data.results.persistence_diagram import PersistenceDiagram

__all__ = ["Artefacts"]

Noun = TypeVar("Noun", bound=Saved)


@dataclasses.dataclass(frozen=True)
class Artefacts:
    """The folder ``artefacts/`` of a run: verbs write results into it, the report reads them.

    ::

        artefacts/embeddings/<chart>.npz      Reduction of the run's row space
        artefacts/variance.npz                VarianceSpectrum
        artefacts/scores.npz                  ScoreTable
        artefacts/claims/<claim>.npz          Claim
        artefacts/landscapes/<chart>.npz      Landscape
        artefacts/lift_gaps/<chart>.npz       LiftGap
        artefacts/hessian/<step>.npz          Eigenspace at the iterate of that step
        artefacts/comparisons/<chart>.npz     Alignment
        artefacts/connections/<run>.npz       Connection with the end of another run
        artefacts/solutions.npz               SolutionTree of the ends of several runs
        artefacts/topology/<chart>.npz        MergeTree
        artefacts/profiles/<chart>.npz        BasinProfile
        artefacts/rings/<chart>.npz           PersistenceDiagram of degree one
        artefacts/lines.npz , valley.npz      LineProfiles
        artefacts/asymmetry.npz, bends.npz    Asymmetry, DirectionCurvatures
        artefacts/walk.npz, noise.npz         WalkRise, NoiseRise
        artefacts/permutations.npz            PermutationPaths
        artefacts/cloud.npz, saturation.npz   GradientCloud, Saturation
        artefacts/samples.npz, subspace.npz   SampleConvergence, SubspaceConvergence
        artefacts/edge.npz, density.npz       EdgeGauge, SpectralDensity
        artefacts/loss_check.npz LossCheck: the objective compared with the recorded loss
        artefacts/trainings.npz               TrainingCurves
        artefacts/sensitivity-inputs.npz, …   Sensitivity by inputs, weights or a chart's coordinates
        artefacts/figures/<name>.png

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.

    Examples
    --------
    >>> Artefacts.of("runs/base").path("landscapes", "pca").as_posix()
    'runs/base/artefacts/landscapes/pca.npz'
    """

    folder: Path

    @classmethod
    def of(cls, run: str | os.PathLike[str]) -> "Artefacts":
        """Name the artefacts of a run folder; nothing is read or created."""
        return cls(Path(run))

    def path(self, *parts: str) -> Path:
        """Path of an artefact by its place, without the suffix ``.npz``."""
        return self.folder.joinpath("artefacts", *parts).with_name(parts[-1] + ".npz")

    @property
    def figures(self) -> Path:
        """Folder of the drawn figures."""
        return self.folder / "artefacts" / "figures"

    def embeddings(self) -> dict[str, Reduction]:
        """Reductions by chart name."""
        return self._all("embeddings", Reduction)

    def claims(self) -> dict[str, Claim]:
        """Claims about the run, those with the fewest requirements first."""
        order = ("moved", "order", "reproducible", "reproducible-beyond", "loss")
        found = self._all("claims", Claim)
        places = [*(place for place in order if place in found), *(place for place in found if place not in order)]
        return {place: found[place] for place in places}

    def landscapes(self) -> dict[str, Landscape]:
        """Landscapes by chart name."""
        return self._all("landscapes", Landscape)

    def lift_gaps(self) -> dict[str, LiftGap]:
        """Lift gaps by chart name."""
        return self._all("lift_gaps", LiftGap)

    def eigenspaces(self) -> dict[int, Eigenspace]:
        """Top eigenspaces by optimizer step."""
        return {int(step): space for step, space in self._all("hessian", Eigenspace).items()}

    def comparisons(self) -> dict[str, Alignment]:
        """Alignments by chart name."""
        return self._all("comparisons", Alignment)

    def trees(self) -> dict[str, MergeTree]:
        """Merge trees by chart name."""
        return self._all("topology", MergeTree)

    def profiles(self) -> dict[str, BasinProfile]:
        """Widths of basins by level, by chart name."""
        return self._all("profiles", BasinProfile)

    def rings(self) -> dict[str, PersistenceDiagram]:
        """Rings as pairs of births and deaths, by chart name."""
        return self._all("rings", PersistenceDiagram)

    def connections(self) -> dict[str, Connection]:
        """Barriers to the ends of other runs, by their names."""
        return self._all("connections", Connection)

    def one(self, place: str, noun: type[Noun]) -> Noun | None:
        """Open an artefact that a run has once, for example ``one("edge", EdgeGauge)``; None if it does not exist.

        Parameters
        ----------
        place : str
            Name of its file without the suffix.
        noun : type
            Its class.

        Returns
        -------
        noun or None
            The artefact.
        """
        path = self.path(place)
        return noun.open(path) if path.exists() else None

    def _all(self, kind: str, noun: type[Noun]) -> dict[str, Noun]:
        folder = self.folder / "artefacts" / kind
        return {path.stem: noun.open(path) for path in sorted(folder.glob("*.npz"))}
