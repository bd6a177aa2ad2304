"""A session from the command line: its images embedded where they are new, its folder begun or opened."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from jal.errors import JalError
from jal.settings.loading import load_config

if TYPE_CHECKING:
    from rich.console import Console

    from jal.labelling.session import Session


class Said:
    """A progress that prints its notes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, part: str, total: int, done: int = 0) -> None:
        """Says nothing."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """A line."""
        self._console.print(text)


def open_session(work: str, console: Console) -> Session:
    """The session of a folder; raises JalError where there is none."""
    from jal.labelling.begin import holds_session
    from jal.labelling.session import Session

    folder = Path(work).expanduser()
    if not holds_session(folder):
        raise JalError(
            f"there is no labelling session in {work}; begin one with jal next {work} --data=FOLDER "
            "--model=MODEL."
        )
    return Session(folder, progress=Said(console))


def begin_or_open(arguments: argparse.Namespace, overrides: list[str], console: Console) -> Session:
    """The session of a folder, begun with the images, model and classes that are given.

    Given again for a session that there is, images that are new are embedded and join it.

    Raises:
      JalError: nothing says what is labelled, or other settings than the session has are given.
    """
    from jal.labelling.begin import STORE, holds_session
    from jal.labelling.session import Session

    folder = Path(arguments.work).expanduser()
    there = holds_session(folder)
    config = load_config(arguments.config, overrides)
    if "strategy" not in config or "store" not in config:
        raise JalError(f"config {arguments.config!r} is not one for labelling; try --config=label.")
    asked = _asked_settings(overrides)
    _name_images(config, arguments)
    pool: Any = arguments.pool or None
    given = {name.replace(".", "__"): config_value(config, name) for name in asked}
    if config.data.path or config.data.name or config.data.address:
        if pool is not None:
            raise JalError("--pool is a store that is embedded already; leave --data out.")
        _check_settings(config)  # before hours of embedding
        if there:
            _embed_alike(config, folder, {*overridden(overrides)}, bool(arguments.model))
        if not config.store.path:
            config.store.path = str(folder / STORE)
        pool = _embedded(config, console)
    if there:
        session = Session(folder, pool=pool, progress=Said(console), **given)
        if arguments.classes:
            _name_classes(session, _names(arguments.classes), console)
        return session
    if pool is None:
        raise JalError(
            f"there is no labelling session in {arguments.work} yet; say what to label with --data=FOLDER "
            "and --model=MODEL, or --pool=STORE."
        )
    settings = {name.replace(".", "__"): config_value(config, name) for name in _settings(config)}
    names = _names(config.classes if arguments.classes is None else arguments.classes)
    return Session(
        folder,
        pool=pool,
        classes=names or ([] if arguments.no_labels else None),
        labels=False if arguments.no_labels else None,
        progress=Said(console),
        **settings,
    )


def overridden(overrides: list[str]) -> list[str]:
    """The keys of `--config.key=value` words."""
    return [word.partition("=")[0].removeprefix("--config.") for word in overrides]


def config_value(config: ConfigDict, path: str) -> Any:
    """The value at a dotted key."""
    value: Any = config
    for part in path.split("."):
        value = value[part]
    return value


def _settings(config: ConfigDict) -> list[str]:
    from jal.labelling.config import SESSION_FIELDS
    from jal.settings.fields import key_paths

    known = set(key_paths(config))
    return [name for name in SESSION_FIELDS if name in known]


def _asked_settings(overrides: list[str]) -> list[str]:
    """The session's settings among `--config.key=value` words."""
    from jal.labelling.config import SESSION_FIELDS

    return [key for key in overridden(overrides) if key in SESSION_FIELDS]


def _check_settings(config: ConfigDict) -> None:
    """Raises JalError for what could begin no session."""
    from jal.labelling.options import checked_settings, make_group, one_choice

    values = {name.replace(".", "__"): config_value(config, name) for name in _settings(config)}
    checked = checked_settings(values)
    make_group(checked, *(one_choice(kind, checked[kind]) for kind in ("strategy", "init")))


def _embed_alike(config: ConfigDict, folder: Path, said: set[str], has_model: bool) -> None:
    """Has images that join a session embedded as its own were, and into its store, unless told otherwise."""
    from jal.labelling.begin import pool_of
    from jal.labelling.options import read_options
    from jal.labelling.origin import embedding_of, model_of
    from jal.store.manifest import open_store

    where = pool_of(folder, read_options(folder))
    if not where:
        raise JalError(f"the session in {folder} labels an array; --data cannot add to it.")
    if not config.store.path:
        config.store.path = where
    store = open_store(where)
    if not has_model and "model.name" not in said:
        config.model.name = model_of(store)
    for name, value in embedding_of(store).items():
        key = name.replace("__", ".")
        if key not in said:
            room, _, field = key.partition(".")
            config[room][field] = value


def _name_classes(session: Session, names: list[str], console: Console) -> None:
    """Adds classes that are named later; those that there are must be among the names."""
    if tuple(names) == session.options.classes:
        return  # the command that began it, again
    missing = [name for name in session.classes if name not in names]
    if missing:
        raise JalError(
            f"the session has the class {missing[0]!r}, which --classes does not name; leave --classes out, "
            "or name all classes and those to add."
        )
    for name in names:
        if name not in session.classes:
            session.add_class(name)
            console.print(f"a new class: {name}")


def _name_images(config: ConfigDict, arguments: argparse.Namespace) -> None:
    from jal.data.catalogue import CATALOGUE, fill_in

    if arguments.data:
        if Path(arguments.data).expanduser().exists() or arguments.data not in CATALOGUE:
            config.data.path = arguments.data
        else:
            fill_in(config.data, arguments.data)
    if arguments.model:
        config.model.name = arguments.model


def _embedded(config: ConfigDict, console: Console) -> str:
    """The store with all images in it."""
    from jal.embedding.run import embed
    from jal.settings.interrupt import Interruptible
    from jal.settings.progress import Bar

    with Bar(console, "images") as bar, Interruptible(bar, "this batch") as progress:
        store = embed(config, progress)
    console.print(store.describe())
    return store.path


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
