"""One record per kind of result: its file, its class, its picture and its sentences."""

from trajmap.kinds.artefacts import Artefacts
from trajmap.kinds.finding import Finding
from trajmap.kinds.kind import Context, Kind
from trajmap.kinds.listed import KINDS, open_result

__all__ = ["KINDS", "Artefacts", "Context", "Finding", "Kind", "open_result"]
