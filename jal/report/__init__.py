"""Figures, tables and the HTML report from the tidy metrics of one or more sweeps."""

from jal.report.build import make_report
from jal.report.curves import plot_curves, save_learning_curves
from jal.report.tables import summary_table

__all__ = ["make_report", "plot_curves", "save_learning_curves", "summary_table"]
