"""What the command line makes of a run, and where in the run folder it lies."""

import dataclasses
import os
from pathlib import Path
from typing import TypeVar

from trajmap.data.alignment import Alignment
from trajmap.data.archive import Saved
from trajmap.data.basin_profile import BasinProfile
from trajmap.data.connection import Connection
from trajmap.data.curve_profiles import CurveProfiles
from trajmap.data.edge_gauge import EdgeGauge
from trajmap.data.eigenspace import Eigenspace
from trajmap.data.landscape import Landscape
from trajmap.data.lift_gap import LiftGap
from trajmap.data.merge_tree import MergeTree
from trajmap.data.reduction import Reduction
from trajmap.data.score_table import ScoreTable
from trajmap.data.sensitivity import Sensitivity
from trajmap.data.spectral_density import SpectralDensity
from trajmap.data.training_curves import TrainingCurves
from trajmap.data.variance_spectrum import VarianceSpectrum

__all__ = ["Artefacts"]

Noun = TypeVar("Noun", bound=Saved)


@dataclasses.dataclass(frozen=True)
class Artefacts:
    """The folder ``artefacts/`` of a run: verbs write nouns into it, the report reads them.

    ::

        artefacts/embeddings/<chart>.npz      Reduction of the run's row space
        artefacts/variance.npz                VarianceSpectrum
        artefacts/scores.npz                  ScoreTable
        artefacts/landscapes/<chart>.npz      Landscape
        artefacts/lift_gaps/<chart>.npz       LiftGap
        artefacts/hessian/<step>.npz          Eigenspace at the iterate of that step
        artefacts/comparisons/<chart>.npz     Alignment
        artefacts/connections/<run>.npz       Connection with the end of another run
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
        """Name the artefacts of a run folder; nothing is read or made."""
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

    def connections(self) -> dict[str, Connection]:
        """Ways to the ends of other runs, by their names."""
        return self._all("connections", Connection)

    def curves(self) -> CurveProfiles | None:
        """Take the losses along lines through the end of the run, or None."""
        path = self.path("curves")
        return CurveProfiles.open(path) if path.exists() else None

    def sensitivity(self) -> Sensitivity | None:
        """Take the derivatives of the loss by inputs along the run, or None."""
        path = self.path("sensitivity")
        return Sensitivity.open(path) if path.exists() else None

    def density(self) -> SpectralDensity | None:
        """Spectral density at the end of the run, or None."""
        path = self.path("density")
        return SpectralDensity.open(path) if path.exists() else None

    def edge(self) -> EdgeGauge | None:
        """Edge gauge along the run, or None."""
        path = self.path("edge")
        return EdgeGauge.open(path) if path.exists() else None

    def trainings(self) -> TrainingCurves | None:
        """Trainings on and off the top eigenspace, or None."""
        path = self.path("trainings")
        return TrainingCurves.open(path) if path.exists() else None

    def scores(self) -> ScoreTable | None:
        """Score table, or None if the run has not been scored."""
        path = self.path("scores")
        return ScoreTable.open(path) if path.exists() else None

    def variance(self) -> VarianceSpectrum | None:
        """Explained variance with its null, or None."""
        path = self.path("variance")
        return VarianceSpectrum.open(path) if path.exists() else None

    def _all(self, kind: str, noun: type[Noun]) -> dict[str, Noun]:
        folder = self.folder / "artefacts" / kind
        return {path.stem: noun.open(path) for path in sorted(folder.glob("*.npz"))}
