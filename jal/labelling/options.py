"""session.json: what a session is, fixed when it begins, and checked whenever it is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jal import selection
from jal.core.spec import PROBES, Choice, ExperimentSpec, ProbeSpec, PropagationSpec
from jal.engine.group import Group
from jal.errors import JalError
from jal.labelling.config import SESSION_FIELDS, session_config
from jal.labelling.names import SESSION
from jal.learners.lora.spec import from_mapping
from jal.schema import OBJECT, TEXT, field, list_of, number, read_json, write_atomically
from jal.settings.fields import flat
from jal.settings.keywords import set_keywords

FORMAT = "jal session, version 1"
_CHOICES: tuple[selection.Kind, ...] = ("strategy", "init")
_MAX_SEED = 2**32 - 1
_NO_SCHEDULE = (20,)  # a session knows no schedule: what a strategy prepares is told of one batch


@dataclass(frozen=True)
class Options:
    """What session.json holds.

    Attributes:
      session: a mark of its own, which its journal carries too.
      pool: the store, relative to the session's folder where it lies below it; "" for arrays.
      classes: the first ones; the journal adds more.
      settings: the values of `SESSION_FIELDS`, by dotted key.
      reserve: share of the images that are set aside for audits; 0: none.
      created: when.
    """

    session: str
    pool: str
    classes: tuple[str, ...]
    settings: Mapping[str, Any]
    reserve: float
    created: str

    def write(self, folder: Path) -> None:
        """Writes session.json."""
        values = {"format": FORMAT, **asdict(self)}
        write_atomically(folder / SESSION, (json.dumps(values, indent=1) + "\n").encode())


def read_options(folder: Path) -> Options:
    """What a folder's session.json holds.

    Raises:
      JalError: there is none, or it is damaged; names the field.
    """
    where = folder / SESSION
    values = read_json(where, "what a labelling session is", f"{folder} holds no {SESSION}.")
    if values.get("format") != FORMAT:
        raise JalError(f"{where} is of format {values.get('format')!r}, not {FORMAT!r}.")
    known = {
        "session": TEXT,
        "pool": TEXT,
        "classes": list_of(TEXT),
        "settings": OBJECT,
        "reserve": number("from 0 to 0.9", lambda value: 0 <= value <= 0.9),
        "created": TEXT,
    }
    found = {name: field(values, name, kind, where) for name, kind in known.items()}
    missing = SESSION_FIELDS.keys() - found["settings"].keys()
    unknown = found["settings"].keys() - SESSION_FIELDS.keys()
    if missing or unknown:
        wrong = (
            f"lacks {min(missing)}" if missing else f"has {min(unknown)}, which jal does not know"
        )
        raise JalError(f"{where}: settings {wrong}; it is of another version of jal.")
    return Options(**{**found, "classes": tuple(found["classes"])})


def checked_settings(given: Mapping[str, Any]) -> ConfigDict:
    """The settings of a session from keywords: names, types and ranges are checked.

    Raises:
      JalError: on a name that is no setting, or a value that it cannot have.
    """
    config = session_config()
    set_keywords(
        config, SESSION_FIELDS, {name: given[name] for name in given if name not in _CHOICES}
    )
    if config.probe.weight_decay is None:
        config.probe.weight_decay = PROBES.get(config.probe.kind, PROBES["linear"])
    _check_decay(config)
    for kind in _CHOICES:
        config[kind] = str(one_choice(kind, given.get(kind, config[kind])))
    if not 0 <= config.audit < 1:
        raise JalError(f"audit is {config.audit}; it must be at least 0 (no audits) and below 1.")
    return config


def _check_decay(config: ConfigDict, where: str = "") -> None:
    decay = config.probe.weight_decay
    if isinstance(decay, bool) or not isinstance(decay, int | float):
        raise JalError(f"{where}probe.weight_decay is {decay!r}; it takes one number.")


def one_choice(kind: selection.Kind, value: Any) -> Choice:
    """The one strategy or init that a session asks with."""
    choices = selection.as_choices(value, kind)
    if len(choices) != 1:
        raise JalError(f"a session has one {kind}, not {len(choices)}.")
    return choices[0]


def make_group(config: ConfigDict, strategy: Choice, init: Choice) -> Group:
    """The group of one run that a session computes as.

    Raises:
      JalError: on settings out of range, or that do not go together.
    """
    if init == selection.DEFAULT_INIT:
        init = selection.default_init(strategy.name)
    selection.make_strategy(strategy)
    selection.make_init(init)
    if not 0 <= config.seed <= _MAX_SEED:
        raise JalError(f"seed is {config.seed}; it must be from 0 to 2^32 - 1.")
    if config.learner not in ("frozen", "lora"):
        raise JalError(f"unknown learner {config.learner!r}; choose from frozen, lora.")
    lora = from_mapping(config.lora.to_dict()) if config.learner == "lora" else None
    if lora is not None and config.ssl:
        raise JalError("ssl propagates labels for the frozen learner; it needs learner=frozen.")
    propagation = PropagationSpec(**config.propagation.to_dict()) if config.ssl else None
    spec = ProbeSpec(**config.probe.to_dict(), propagation=propagation)
    if lora is not None:
        spec = ProbeSpec(dropout=lora.head_dropout)
    drawing = selection.draws_at_the_probes_rate(strategy)
    if drawing and not spec.dropout:
        part = "lora.head_dropout" if lora else "probe.dropout"
        raise JalError(
            f"{strategy} draws dropout, but {part} is 0, so its draws would all agree; set its own rate, "
            f"as in {drawing}(rate=0.75), or {part} above 0."
        )
    rates = (lora.lr, lora.weight_decay) if lora else (spec.lr, spec.weight_decay)
    return Group(
        spec=ExperimentSpec(strategy, init, _NO_SCHEDULE, spec),
        seeds=(int(config.seed),),
        lrs=(rates[0],),
        weight_decays=(rates[1],),
        lora=lora,
    )


def as_config(settings: Mapping[str, Any], where: Path) -> ConfigDict:
    """The settings of session.json as a config; raises JalError where one is of another type."""
    config = session_config()
    try:
        config.update_from_flattened_dict(dict(settings))
    except (TypeError, ValueError, KeyError) as error:
        raise JalError(f"{where}: settings: {' '.join(str(error).split())}") from error
    _check_decay(config, f"{where}: settings: ")
    return config


def plain_settings(config: ConfigDict) -> dict[str, Any]:
    """The settings as session.json holds them."""
    return {name: value for name, value in flat(config.to_dict()).items() if name in SESSION_FIELDS}


def differing(options: Options, given: Mapping[str, Any]) -> list[str]:
    """What is asked for otherwise than the session has it, one phrase each."""
    return [
        f"{name} is {options.settings[name]!r} there and {value!r} here"
        for name, value in given.items()
        if options.settings[name] != value
    ]
