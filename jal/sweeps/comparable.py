"""What rows carry so that only comparable ones are compared: marks of their pool and of their recipe."""

from __future__ import annotations

from dataclasses import asdict

from jal.engine.group import Group
from jal.pools.features import LoadedPool
from jal.schema import fingerprint

_LENGTH = 16
# What columns of their own say, and what does not change what is computed.
_ASIDE = {
    "lora": frozenset(("lr", "weight_decay", "head_dropout", "images_at_once")),
    "frozen": frozenset(("lr", "weight_decay", "dropout", "kind")),
}


def identity(group: Group, loaded: LoadedPool) -> dict[str, str]:
    """The columns `pool` and `spec` of a group's runs, 16 hexadecimal digits each.

    Two runs of one pool and spec differ at most in what their other columns say, in their rounds and in
    how they were executed. Labels a round are a column too, so the schedule is no part of the spec.
    """
    recipe = asdict(group.lora if group.lora is not None else group.spec.probe)
    aside = _ASIDE["frozen" if group.lora is None else "lora"]
    static = {name: value for name, value in recipe.items() if name not in aside}
    own = "" if group.own is None else group.own.name
    parts = (group.learner_name, own, sorted(static.items()), sorted(group.fixed))
    return {"pool": loaded.facts.fingerprint[:_LENGTH], "spec": fingerprint(parts)[:_LENGTH]}
