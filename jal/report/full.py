"""What sweeps measured with all labels: of each setting, with its interval, as a line in its curves."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from jal.errors import JalError
from jal.report import stats
from jal.report.compare import by_setting
from jal.report.tables import with_interval
from jal.schema import FULL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORDS = ("dataset", "backbone", "learner", "ssl", "pool", "spec", "probe")
_RATES = ("lr", "weight_decay", "dropout")
# What a recipe shares with the runs of its setting: their data set may have another name in a report.
_SHARED = ("backbone", "learner", "ssl", "pool", "spec", "probe", *_RATES)
_NEEDED = ("learner", "seed", "pool", "spec", "labelled", "accuracy")
_GREY = "#777777"  # colours are the strategies'


class Full(NamedTuple):
    """Accuracy with all labels in one setting.

    Attributes:
      labelled: how many labels that are.
      mean, low, high: over seeds; NaN for the ends of the interval below 3 seeds.
      seeds: how many.
      recipes: of how many learning rates and the like this is the best.
    """

    labelled: int
    mean: float
    low: float
    high: float
    seeds: int
    recipes: int

    def words(self) -> str:
        """The mean with its interval, in per cent, and of what; tables beside it have sds after ±."""
        best = f", the best of {self.recipes} recipes" if self.recipes > 1 else ""
        seeds = f"{self.seeds} seed{'s' * (self.seeds > 1)}"
        shown = "" if np.isnan(self.low) else "95 % interval, "
        return f"accuracy {with_interval(self.mean, self.low, self.high)} % ({shown}{seeds}{best})"


def read_full(workdirs: Iterable[str]) -> pd.DataFrame:
    """The rows of full.csv of all workdirs that have one.

    Raises:
      JalError: when one is damaged.
    """
    frames = []
    for workdir in workdirs:
        path = Path(workdir) / FULL
        if not path.is_file():
            continue
        try:
            words = dict.fromkeys(_WORDS, str)
            contents = io.BytesIO(path.read_bytes())
            rows = pd.read_csv(contents, keep_default_na=False, na_values=[""], dtype=words)
            rows["accuracy"] = pd.to_numeric(rows["accuracy"])
            bad = rows[[*_NEEDED]].isna().any(axis=None) or not rows["accuracy"].between(0, 1).all()
        except (ValueError, KeyError, OSError) as error:
            reason = " ".join(str(error).split())
            raise JalError(f"{path} is damaged ({reason}); delete it, and report again.") from error
        if bad:
            raise JalError(f"{path} is damaged: a row lacks a number; delete it, and report again.")
        frames.append(rows)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def best_of(rows: pd.DataFrame) -> Full:
    """The recipe of the highest mean accuracy, over its seeds."""
    recipe = [name for name in _SHARED if name in rows]
    groups = [group for _, group in rows.groupby(recipe, sort=False, dropna=False)]
    best = max(groups, key=lambda group: group["accuracy"].mean())
    found = stats.t_interval(best["accuracy"].to_numpy(), low=0, high=1)
    mean, low, high = (float(part) for part in found[:3])
    return Full(int(best["labelled"].iloc[0]), mean, low, high, len(best), len(groups))


def of_settings(metrics: pd.DataFrame, full: pd.DataFrame) -> dict[str, Full]:
    """By setting, what its data and recipes reach with all labels; settings without are left out.

    Args:
      metrics: of a study.
      full: as `read_full` gives it.
    """
    if full.empty:
        return {}
    keys = [name for name in _SHARED if name in metrics and name in full]
    marks = _marks(full, keys)
    found = {}
    for setting, rows in by_setting(metrics):
        own = full[marks.isin(set(_marks(rows[keys].drop_duplicates(), keys)))]
        own = own.drop_duplicates([*keys, "seed"])  # two workdirs may have measured it
        if len(own):
            found[setting] = best_of(own)
    return found


def _marks(rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """What tells recipes apart, as text."""
    texts = [
        rows[key].map("{:.6g}".format) if key in _RATES else rows[key].astype(str) for key in keys
    ]
    return pd.Series(list(zip(*texts, strict=True)), rows.index, dtype=object)


def draw_full(axes: Axes, found: Full, label: str = "") -> None:
    """The mean as a horizontal line in its interval, named by how many labels it took."""
    label = label or f"all {found.labelled} labels"
    axes.axhline(
        found.mean, color=_GREY, linestyle=(0, (6, 2)), linewidth=1.2, label=label, zorder=1
    )
    if not np.isnan(found.low):
        axes.axhspan(found.low, found.high, color=_GREY, alpha=0.18, linewidth=0, zorder=0)
