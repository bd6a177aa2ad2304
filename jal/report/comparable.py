"""What may be compared: rows of one pool and recipe; what differs beyond the arm gets names and a note."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pandas as pd

from jal.report.arms import RECIPE, distinct, settings_of, spread_out

Configs = Mapping[str, Mapping[str, Any]]
_LENGTH = 16
# What columns of their own say, or what does not change what is computed.
_ASIDE = {
    "frozen": ("probe.lr", "probe.weight_decay", "probe.dropout", "probe.kind"),
    "lora": ("lora.lr", "lora.weight_decay", "lora.head_dropout", "lora.images_at_once"),
}
_SHORT = 4


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + str(name)] = value
    return found


def recipe_of(config: Mapping[str, Any], learner: str) -> dict[str, Any]:
    """The keys of a sweep's config that its spec is made of, for one of its learners."""
    values = _flat(config)
    kept = {"frozen": ("probe.", "seed_of."), "lora": ("lora.", "seed_of.")}.get(
        learner, ("seed_of.",)
    )
    if learner == "frozen" and values.get("ssl") is True:
        kept = (*kept, "propagation.")
    aside = _ASIDE.get(learner, ())
    return {key: values[key] for key in sorted(values) if key.startswith(kept) and key not in aside}


def with_marks(frame: pd.DataFrame, pool_fingerprint: object) -> pd.DataFrame:
    """A workdir's rows with `pool` and `spec`; an older jal wrote neither, but the pool's fingerprint."""
    known = str(pool_fingerprint or "")[:_LENGTH]
    for name, value in (("pool", known), ("spec", "")):
        if name not in frame:
            frame.insert(0, name, value)
    return frame.assign(pool=frame["pool"].fillna(known), spec=frame["spec"].fillna(""))


def with_specs(metrics: pd.DataFrame, configs: Configs) -> pd.DataFrame:
    """The rows with a spec where an older jal wrote none: that of a sweep of the same config, or its own."""
    if (metrics["spec"] != "").all():
        return metrics
    codes, sweeps = distinct(metrics, ["workdir", "learner", "spec"])
    specs = list(sweeps["spec"].astype(str))
    known: list[tuple[str, dict[str, Any], str]] = []
    told_first = sorted(range(len(specs)), key=lambda place: not specs[place])
    for place in told_first:
        workdir, learner = (str(sweeps[name][place]) for name in ("workdir", "learner"))
        spec, recipe = specs[place], recipe_of(configs.get(workdir, {}), learner)
        if not spec and recipe:
            # A key that an older jal did not have had no other value.
            spec = next(
                (mark for name, other, mark in known if name == learner and _agree(recipe, other)),
                sha256(str((learner, recipe)).encode()).hexdigest()[:_LENGTH],
            )
            specs[place] = spec
        if recipe:
            known.append((learner, recipe, spec))
    return metrics.assign(spec=spread_out(specs, codes, metrics.index))


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(value == other[key] for key, value in one.items() if key in other)


def pools_apart(metrics: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Names data sets apart where one name stands for several pools; with a note for each such name."""
    settings = list(settings_of(metrics))
    codes, sweeps = distinct(metrics, [*dict.fromkeys([*settings, "backbone", "pool", "workdir"])])
    clashes = []
    for values, rows in sweeps.groupby(settings, sort=False, observed=True):
        if rows.loc[rows["pool"] != "", "pool"].nunique() > 1:
            clashes.append((values[0], rows["backbone"].iloc[0]))
    if not clashes:
        return metrics, []
    names, notes = sweeps["dataset"].copy(), []
    for dataset, backbone in dict.fromkeys(clashes):
        rows = sweeps[(sweeps["dataset"] == dataset) & (sweeps["backbone"] == backbone)]
        pools = list(rows["pool"].drop_duplicates())
        length = next(n for n in (*range(_SHORT, _LENGTH), 99) if _apart(pools, n))
        words = {pool: f"{dataset} (pool {pool[:length] or 'unknown'})" for pool in pools}
        names.loc[rows.index] = rows["pool"].astype(str).map(words)
        where = rows.groupby("pool", sort=False, observed=True)["workdir"].first()
        listed = "; ".join(f"{words[pool]} of {where[pool]}" for pool in pools)
        notes.append(
            f"{dataset} is the name of {len(pools)} pools with different contents, which are reported "
            f"apart: {listed}."
        )
    return metrics.assign(dataset=spread_out(names, codes, metrics.index)), notes


def _apart(pools: list[str], length: int) -> bool:
    return len({pool[:length] for pool in pools}) == len(pools)


def recipes_apart(metrics: pd.DataFrame, configs: Configs) -> tuple[pd.DataFrame, list[str]]:
    """Adds a column for each setting of a config that differs between rows of one setting, and says so.

    Returns:
      the rows, and a note for each setting in which not all strategies were run with every recipe.
    """
    settings = list(settings_of(metrics))
    told_by = ["learner", "spec", "workdir", "strategy"]
    codes, sweeps = distinct(metrics, [*dict.fromkeys([*settings, *told_by])])
    columns: dict[str, pd.Series] = {}
    uneven = []
    for values, rows in sweeps.groupby(settings, sort=False, observed=True):
        known = rows[rows["spec"] != ""]
        if known["spec"].nunique() < 2:
            continue
        learner = str(known["learner"].iloc[0])
        recipes = {
            str(spec): recipe_of(configs.get(own["workdir"].iloc[0], {}), learner)
            for spec, own in known.groupby("spec", sort=False, observed=True)
        }
        keys = [
            key
            for key in dict.fromkeys(key for recipe in recipes.values() for key in recipe)
            if len({str(recipe[key]) for recipe in recipes.values() if key in recipe}) > 1
        ]
        told = {
            spec: tuple(str(recipe.get(key)) for key in keys) for spec, recipe in recipes.items()
        }
        if len(set(told.values())) < len(told):
            keys.append("spec")  # no config says what differs
        for key in keys:
            words = {
                spec: spec[:_SHORT] if key == "spec" else str(recipe.get(key, "unset"))
                for spec, recipe in recipes.items()
            }
            column = columns.setdefault(key, pd.Series(pd.NA, sweeps.index, dtype=object))
            column.loc[rows.index] = rows["spec"].astype(str).map(words).fillna("unknown")
        sharing = known.groupby("spec", sort=False, observed=True)
        strategies = sharing["strategy"].agg(lambda own: sorted(set(own)))
        if strategies.map(str).nunique() > 1:
            where = ", ".join(map(str, values[:1]))
            parts = "; ".join(
                f"{', '.join(strategies[spec])} with "
                + " and ".join(f"{key} {columns[key][own.index[0]]}" for key in keys)
                for spec, own in sharing
            )
            uneven.append(
                f"{where}: not all strategies were run with the same settings ({parts}), so only those "
                "with the same settings, or of one strategy, are tested against each other."
            )
    for key, column in columns.items():
        metrics = metrics.copy()
        metrics.insert(0, RECIPE + key, column.to_numpy()[codes])
    return metrics, uneven
