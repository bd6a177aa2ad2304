"""How figures look: colours, markers and dashes told apart in any colour vision and in grey print."""

from __future__ import annotations

import io
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette, its yellow darkened to be read on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DASHES = ("-", "--", "-.")
BASELINE_STYLE = {"color": "#000000", "marker": ".", "linestyle": ":"}


class MetricStyle(NamedTuple):
    """How a metric is named and shown.

    Attributes:
      label: on an axis.
      percent: shown as a percentage.
      higher: whether higher is better.
      low, high: what it can be.
    """

    label: str
    percent: bool
    higher: bool
    low: float = float("-inf")
    high: float = float("inf")


METRICS = {
    "accuracy": MetricStyle("test accuracy", True, True, 0, 1),
    "balanced_accuracy": MetricStyle("balanced test accuracy", True, True, 0, 1),
    "macro_f1": MetricStyle("macro F1", True, True, 0, 1),
    "auroc": MetricStyle("AUROC", True, True, 0, 1),
    "nll": MetricStyle("negative log-likelihood", False, False, 0),
    "ece": MetricStyle("expected calibration error", True, False, 0, 1),
    "brier": MetricStyle("Brier score", False, False, 0, 2),
    "unknown_ratio": MetricStyle("unknown ratio of the batch", True, True, 0, 1),
    "classes_seen": MetricStyle("classes seen", False, True, 0),
    "seconds": MetricStyle("seconds", False, False, 0),
}


def arm_styles(arms: Sequence[str], baseline: str = "random") -> dict[str, dict[str, Any]]:
    """Line style of each arm; the baseline is black and dotted wherever it stands."""
    styles: dict[str, dict[str, Any]] = {}
    position = 0
    for arm in arms:
        if arm == baseline:
            styles[arm] = dict(BASELINE_STYLE)
            continue
        styles[arm] = {
            "color": PALETTE[position % len(PALETTE)],
            "marker": MARKERS[position % len(MARKERS)],
            "linestyle": DASHES[position // len(PALETTE) % len(DASHES)],
        }
        position += 1
    return styles


def new_figure(width: float = 5.6, height: float = 3.9, panels: int = 1) -> tuple[Figure, Any]:
    """A figure and its axes (a list when there are several panels), in inches.

    The object interface, not pyplot: no display is looked for and no global state is left.
    """
    figure = bare_figure(width, height)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    return figure, axes[0] if panels == 1 else list(axes)


def bare_figure(width: float, height: float) -> Figure:
    """A figure in inches whose texts are shown as they are: names of data are no formulas."""
    return _figure_class()(figsize=(width, height), layout="constrained")


def load() -> None:
    """Loads what pictures and their intervals are made with, so that the first one need not."""
    import scipy.special  # noqa: F401

    _figure_class()
    import matplotlib.backends.backend_agg  # noqa: F401


@cache
def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ValueError:  # a backend that is not here, inherited from a notebook; none is needed
        os.environ.pop("MPLBACKEND", None)
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # it stopped half way
        from matplotlib.figure import Figure

    class PlainFigure(Figure):
        def draw(self, renderer: Any) -> None:
            import matplotlib
            from matplotlib.text import Text

            for text in self.findobj(Text):
                text.set_parse_math(False)
                text.set_usetex(False)
            # Ticks are made while drawing.
            with matplotlib.rc_context({"text.parse_math": False, "text.usetex": False}):
                super().draw(renderer)

        def _repr_png_(self) -> bytes:
            """What a notebook shows; without pyplot it would show a figure's name only."""
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=100)
            return buffer.getvalue()

    return PlainFigure


def dress(axes: Axes, *, xlabel: str, ylabel: str, title: str, percent: bool = False) -> None:
    """Labels, light grid, no frame; fractions shown in per cent."""
    from matplotlib.ticker import PercentFormatter

    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    entitle(axes, title)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1))


def entitle(axes: Axes, title: str) -> None:
    """A title in as many lines as it takes: what is wider than the figure would be cut off."""
    grid = axes.get_gridspec()
    inches = axes.figure.bbox.width / axes.figure.dpi
    width = inches / (1 if grid is None else grid.ncols)
    # An inch is left of the axes; the rest of a line has twelve or thirteen letters an inch.
    letters = max(20, int(12.5 * (width - 1)))
    lines = textwrap.wrap(title, letters, break_long_words=False, break_on_hyphens=False)
    axes.set_title("\n".join(lines), fontsize=10, loc="left")


def shortened(name: str, letters: int) -> str:
    """A name as a drawing has room for it."""
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def legend_below(figure: Figure, axes: Axes) -> None:
    """One legend under the plot, in columns as wide as its longest entry asks; of one line too."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        columns = max(1, min(4, int(66 / (6 + max(map(len, labels))))))
        figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )


def render(figure: Figure, kind: str) -> bytes:
    """The figure as `png` (200 dots an inch) or `svg`; the same bytes for the same figure.

    It is laid out once, for its first picture, and keeps its places for the next.
    """
    import matplotlib

    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": "jal"}
    # Texts stay texts: a browser has letters of every script, and a page of many figures stays small.
    drawing: dict[Any, Any] = {
        "svg.hashsalt": "jal",
        "svg.fonttype": "none",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    }
    with matplotlib.rc_context(drawing):
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    figure.set_layout_engine("none")
    return _short(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def _short(svg: bytes) -> bytes:
    """A drawing without the decimals beyond a hundredth of a point, and without indents."""
    places = re.sub(
        rb' (?:d|x|y)="[^"]*"', lambda one: re.sub(rb"(\.\d\d)\d+", rb"\1", one.group()), svg
    )
    return re.sub(rb"\n\s*", b"\n", places)
