"""Tables: numbers for CSV, words for HTML and LaTeX; the summary a sweep ends with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jal.report import stats
from jal.report.arms import SETTING_COLUMNS, with_arms
from jal.report.ceilings import apart


class Table(NamedTuple):
    """One table of a report.

    Attributes:
      name: its file name without ending.
      caption: what it says, in a sentence or two.
      data: the numbers, unrounded, for CSV.
      shown: the same as words, for people.
      title: what it is called where it is folded away; empty: its name.
      once: columns shown that the page's caption says once, where they say one thing in every row.
    """

    name: str
    caption: str
    data: pd.DataFrame
    shown: pd.DataFrame
    title: str = ""
    once: Sequence[str] = ()


_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "–": "--",
        "−": "$-$",
        "×": r"$\times$",
        "<": "$<$",
        ">": "$>$",
        "∞": r"$\infty$",
    }
)


def latex(table: Table) -> str:
    """A booktabs table; words left-aligned, numbers right-aligned."""
    words = [
        not pd.api.types.is_numeric_dtype(table.data[name]) if name in table.data else False
        for name in table.shown
    ]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{table.caption.translate(_LATEX)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{''.join('l' if word else 'r' for word in words)}}}",
        r"\toprule",
        " & ".join(str(name).translate(_LATEX) for name in table.shown) + r" \\",
        r"\midrule",
        *(
            " & ".join(str(cell).translate(_LATEX) for cell in row) + r" \\"
            for row in table.shown.itertuples(index=False)
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def percent(value: float, digits: int = 1) -> str:
    """A fraction in per cent, without the sign; a dash for NaN."""
    return "–" if np.isnan(value) else f"{100 * value:.{digits}f}".replace("-", "−")


def with_interval(mean: float, low: float, high: float) -> str:
    """A fraction and its half-width in per cent: 71.2 ± 0.8; both ends where one was clipped."""
    if np.isnan(low):
        return percent(mean)
    if abs((high - mean) - (mean - low)) > 1e-9:
        return f"{percent(mean)} ({percent(low)} to {percent(high)})"
    return f"{percent(mean)} ± {percent((high - low) / 2)}"


def p_value(p: float) -> str:
    """A p-value with two digits; small ones as a bound."""
    if np.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def few_seeds(number: int) -> str:
    """A warning to follow a p, where it is of few seeds."""
    if number >= stats.FEW:
        return ""
    return f" With {number} seeds a p depends on every single one; {stats.FEW} or more say more."


def summary_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """One row an arm: accuracy (mean ± sd over runs, %) at a few budgets, and the area under the curve.

    Ceilings come last, and say that they are. The area is the mean accuracy over rounds, each weighted by
    the labels it spans (trapezoid).
    """
    strategies, ceilings = apart(metrics)
    metrics = pd.concat([with_arms(part) for part in (strategies, ceilings) if len(part)])
    rounds = sorted(metrics["round"].unique())
    several = [name for name in SETTING_COLUMNS if name in metrics and metrics[name].nunique() > 1]
    # As many budgets as fit a terminal: early rounds, where strategies differ most, are kept apart.
    shown = sorted({rounds[0], *(r for r in (2, 5) if r < rounds[-1]), rounds[-1]})
    rows = []
    for (arm, *setting), frame in metrics.groupby(["arm", *several], sort=False):
        row = {"strategy": arm, "init": frame["init"].iloc[0]}
        row |= dict(zip(several, map(str, setting), strict=True))
        for index in shown:
            at = frame[frame["round"] == index]
            spread = f" ± {100 * at['accuracy'].std():.1f}" if len(at) > 1 else ""
            row[f"{int(at['labelled'].iloc[0])}"] = f"{100 * at['accuracy'].mean():.1f}{spread}"
        row["area"] = f"{100 * np.mean([area(run) for _, run in frame.groupby('run')]):.1f}"
        rows.append(row)
    return pd.DataFrame(rows)


def area(run: pd.DataFrame, metric: str = "accuracy") -> float:
    """The area under one run's curve."""
    run = run.sort_values("labelled")
    return float(stats.area_under_curve(run["labelled"], run[metric]))
