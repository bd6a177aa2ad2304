"""Which settings share a panel: those of the same data that differ in their learner alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from jal.report.arms import settings_of
from jal.report.compare import by_setting

Styles = Mapping[str, Mapping[str, Any]]
LEARNER_NAMES = {"frozen": "linear probing", "lora": "PEAL"}
LEARNER_DASHES = ("-", "--", ":")


def panels(metrics: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """A title and the rows of each panel, in order of appearance; most hold one setting."""
    fixed = [name for name in settings_of(metrics) if name != "learner"]
    groups: dict[tuple[str, ...], list[pd.DataFrame]] = {}
    for _, rows in by_setting(metrics):
        groups.setdefault(tuple(str(rows[name].iloc[0]) for name in fixed), []).append(rows)
    whole = [own[0] if len(own) == 1 else pd.concat(own) for own in groups.values()]
    return [(panel_title(rows), rows) for rows in whole]


def panel_title(rows: pd.DataFrame) -> str:
    """The setting, without its learner where a panel has several."""
    setting = str(rows["setting"].iloc[0])
    if rows["setting"].nunique() == 1:
        return setting
    return "".join(setting.rsplit(f", {rows['learner'].iloc[0]}", 1))


def parts(rows: pd.DataFrame, styles: Styles) -> list[tuple[str, pd.DataFrame, Styles]]:
    """What names each learner of a panel, its rows, and its styles: colours say the arm, dashes the learner.

    A panel of one setting has one part without a name, and the styles as they are.
    """
    settings = by_setting(rows)
    if len(settings) == 1:
        return [("", rows, styles)]
    found: list[tuple[str, pd.DataFrame, Styles]] = []
    for position, (_, own) in enumerate(settings):
        learner = str(own["learner"].iloc[0])
        dash = {"linestyle": LEARNER_DASHES[position % len(LEARNER_DASHES)]}
        dashed = {arm: {**style, **dash} for arm, style in styles.items()}
        found.append((LEARNER_NAMES.get(learner, learner), own, dashed))
    return found


def labelled_as(name: str, arm: str) -> str:
    """An arm's name in a legend, after its learner's where that has one."""
    return f"{name}, {arm}" if name else arm
