"""How a session begins or goes on: its folder checked, its options fixed once, labels that exist taken in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from jal.engine.group import Group
from jal.errors import JalError
from jal.labelling.journal import Event, Journal, now
from jal.labelling.ledger import Ledger
from jal.labelling.material import Material, as_material
from jal.labelling.memory import FOLDER
from jal.labelling.names import JOURNAL, REPORT, SESSION
from jal.labelling.options import (
    Options,
    as_config,
    checked_settings,
    differing,
    make_group,
    one_choice,
    plain_settings,
    read_options,
)
from jal.labelling.reserve import reserve_share, share_of_groups
from jal.labelling.saying import known_ids
from jal.pools.checks import Column, label_names
from jal.schema import LOCK
from jal.settings.lock import hold

LABELS, STORE = "labels.csv", "store"
SOURCE = "source"  # who says what a source's own labels say
_OURS = {SESSION, JOURNAL, LABELS, STORE, FOLDER, REPORT, LOCK}


class Begun(NamedTuple):
    """A session that is about to be opened.

    Attributes:
      options: of session.json, written or not.
      material: what is labelled.
      group: the run that it computes as.
      events: that a new session begins with.
      is_new: whether there was none.
      is_elsewhere: whether its store is no longer where session.json says; options know where.
    """

    options: Options
    material: Material
    group: Group
    events: list[Event]
    is_new: bool
    is_elsewhere: bool = False


def holds_session(folder: Path) -> bool:
    """Whether a folder is a session's; raises JalError where it is something else's.

    One that died while it began, before anyone could say anything, is none.
    """
    if (folder / SESSION).exists():
        if (folder / LABELS).exists() and not (folder / JOURNAL).exists():
            raise JalError(
                f"{folder} holds a {SESSION} and no {JOURNAL}, which has all that was said; restore it."
            )
        return (folder / JOURNAL).exists()
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir() if path.name not in _OURS)
        if others:
            raise JalError(
                f"{folder} holds {others[0]} and no {SESSION}, so it is no labelling session; give "
                "another folder."
            )
    elif folder.exists():
        raise JalError(f"{folder} is a file; a session needs a folder.")
    if (folder / JOURNAL).exists():
        raise JalError(
            f"{folder} holds a {JOURNAL} and no {SESSION}; restore that, or give another folder."
        )
    return False


def begin(
    folder: Path | None,
    pool: Any,
    classes: Sequence[str] | int | None,
    labels: Any,
    settings: Mapping[str, Any],
) -> Begun:
    """What a session is: as its folder says, or as it is begun by these arguments.

    Raises:
      JalError: bad settings; a folder of something else; other settings than the session has.
    """
    if folder is not None and holds_session(folder):
        return _go_on(folder, pool, classes, labels, settings)
    if pool is None:
        raise JalError(
            "nothing says what is labelled; pass pool=, the path of an embedding store (jal embed makes "
            "one) or an array of features."
        )
    config = checked_settings(settings)
    material = as_material(pool)
    known = _starting_labels(material, labels)
    names = _classes(material, classes, known)
    group = _group(config, settings)
    share = 0.0
    if config.audit and material.groups:
        share = share_of_groups(config.seed, material.ids, material.groups)
    elif config.audit:
        share = reserve_share(material.size)
    where = "" if material.store is None else _kept_path(folder, material.store.path)
    options = Options(uuid4().hex, where, names, plain_settings(config), share, now())
    events = [
        {"event": "label", "time": options.created, "who": SOURCE, "id": name, "class": label}
        for name, label in known.items()
    ]
    return Begun(options, material, group, events, True)


def _go_on(
    folder: Path, pool: Any, classes: Any, labels: Any, settings: Mapping[str, Any]
) -> Begun:
    options = read_options(folder)
    config = as_config(options.settings, folder / SESSION)
    asked = plain_settings(checked_settings(settings))
    wrong = differing(options, {name: asked[name] for name in map(_dotted, settings)})
    if classes is not None and _names(classes) != list(options.classes):
        wrong.append(f"classes were {', '.join(options.classes) or 'none'} (add_class adds one)")
    if labels is not None and labels is not False:
        wrong.append("labels are told by tell()")
    if wrong:
        raise JalError(f"{folder} is a session begun otherwise: {'; '.join(wrong)}.")
    given = pool
    if given is None:
        if not options.pool:
            raise JalError(f"the session in {folder} labels an array; pass it again as pool=.")
        given = pool_of(folder, options)
        if "://" not in given and not Path(given).exists():
            raise JalError(
                f"the embeddings that the session in {folder} labels are no longer in {given}; say once "
                "where they are, by jal next WORK --pool=STORE or pool=."
            )
    material, where = as_material(given), options.pool
    if material.store is not None and where:
        where = _kept_path(folder, material.store.path)
    is_elsewhere = where != options.pool
    if is_elsewhere and "://" not in where and Path(pool_of(folder, options)).exists():
        raise JalError(
            f"the session in {folder} labels {pool_of(folder, options)}, which is still there; another store "
            "takes another session."
        )
    options = replace(options, pool=where)
    return Begun(options, material, _group(config, settings), [], False, is_elsewhere)


def pool_of(folder: Path, options: Options) -> str:
    """Where a session's store is; "" where it labels an array."""
    is_below = options.pool and "://" not in options.pool
    return str(folder / options.pool) if is_below else options.pool


def write_beginning(begun: Begun, folder: Path | None, note: Callable[[str], None]) -> Journal:
    """The journal of a new session; in a folder, session.json and what is known from the start are written.

    Raises:
      JalError: another process began one there meanwhile, or the folder cannot be written.
    """
    if folder is None:
        journal = Journal(None, begun.options.session, note)
        journal.begin(begun.events)
        return journal
    with hold(folder, "try again", seconds=20):
        if holds_session(folder):
            raise JalError(
                f"another process began a session in {folder} meanwhile; go on with that."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            begun.options.write(folder)
        except OSError as error:
            raise JalError(f"{folder} cannot be written ({error.strerror}).") from error
        journal = Journal(folder / JOURNAL, begun.options.session, note)
        journal.begin(begun.events)
    return journal


def _dotted(keyword: str) -> str:
    return keyword.replace("__", ".")


def _group(config: Any, settings: Mapping[str, Any]) -> Group:
    """The group of the settings, with a strategy or init of the caller's own where they pass one."""
    return make_group(
        config,
        one_choice("strategy", settings.get("strategy", config.strategy)),
        one_choice("init", settings.get("init", config.init)),
    )


def _kept_path(folder: Path | None, store: str) -> str:
    """How session.json names a store: from the session's folder where it is inside, else in full."""
    if "://" in store or folder is None:
        return store
    full = Path(store).expanduser().resolve()
    inside = full.is_relative_to(folder.resolve())
    return os.path.relpath(full, folder.resolve()) if inside else str(full)


def _starting_labels(material: Material, labels: Any) -> dict[str, str]:
    """Class names by id that are known before anyone is asked."""
    if labels is None:
        known = dict(material.labels)
        if len(known) == material.size:
            raise JalError(
                f"{material.name}: every image has a label, as of its folder, so there is nothing to ask; if "
                "these are none, or to hide them, pass --no_labels (labels=False)."
            )
        return known
    if labels is False:
        return {}
    if isinstance(labels, Mapping):
        ids = known_ids(material.ids, {name: row for row, name in enumerate(material.ids)}, labels)
        if len(ids) < len(labels):
            raise JalError("labels names an image twice, by its id and by its row.")
        values = list(labels.values())
    else:
        ids, values = list(material.ids), labels
    names = label_names(Column("labels", values, len(ids)))
    return {name: label for name, label in zip(ids, names, strict=True) if label}


def _classes(
    material: Material, classes: Sequence[str] | int | None, known: Mapping[str, str]
) -> tuple[str, ...]:
    """The first classes: those asked for, or those of the source and the labels."""
    if classes is None:
        names = [*material.classes, *sorted(set(known.values()) - set(material.classes))]
    else:
        names = _names(classes)
    ledger = Ledger([])
    for name in names:
        ledger.check_new(name)
        ledger.classes.append(name)
    missing = sorted(set(known.values()) - set(ledger.classes))
    if missing:
        raise JalError(
            f"images have the label {missing[0]!r}, which is not among the classes "
            f"{', '.join(ledger.classes)}; name it too, or pass --no_labels (labels=False)."
        )
    return tuple(ledger.classes)


def _names(classes: Any) -> list[str]:
    """The names of classes from names, with commas between or apart, or from how many there are."""
    if isinstance(classes, int | np.integer) and not isinstance(classes, bool):
        return [str(number) for number in range(int(classes))]
    if isinstance(classes, str):
        return [name.strip() for name in classes.split(",") if name.strip()]
    return [str(name) for name in np.atleast_1d(np.asarray(classes, object))]
