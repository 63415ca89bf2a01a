"""A run folder to one HTML file: summarise, draw, render. No torch here."""

from trajmap.report.figures import draw_figures
from trajmap.report.write import write_report

__all__ = ["draw_figures", "write_report"]
