"""`jal embed`: from the command line to a finished store, with a bar that shows images/s."""

from __future__ import annotations

from jal.errors import JalError
from jal.settings.console import make_console
from jal.settings.devices import configure_jax
from jal.settings.interrupt import Interruptible
from jal.settings.loading import load_config
from jal.settings.process import check_devices
from jal.settings.progress import Bar
from jal.store.manifest import Store


def run(reference: str, store_path: str, skip_bad: bool, overrides: list[str]) -> None:
    """Embeds what a config names, and says what the store holds.

    Args:
      reference: as `jal.settings.loading.load_config` takes it.
      store_path: where to; empty leaves `store.path` of the config.
      skip_bad: leave unreadable images out; otherwise as the config says.
      overrides: `--config.key=value` words.

    Raises:
      JalError: on bad input of any kind.
    """
    config = load_config(reference, overrides)
    if any(name not in config for name in ("model", "data", "store")):
        raise JalError(
            f"config {reference!r} is not one for jal embed; try --config=embed:cifar10."
        )
    if store_path:
        config.store.path = store_path
    config.skip_bad = config.skip_bad or skip_bad

    configure_jax()

    from jal.embedding.run import embed

    check_devices()
    console = make_console()
    with Bar(console, "images") as bar, Interruptible(bar, "this batch") as progress:
        store = embed(config, progress)
    skipped = [
        (split, *image) for split, images in store.manifest["skipped"].items() for image in images
    ]
    for split, name, reason in skipped:
        console.print(f"left out: {split}/{name} ({reason})")
    for note in _notes(store):
        console.print(note)
    console.print(f"{store.describe()}\nstore: {store.path}")


def _notes(store: Store) -> list[str]:
    """What keeps a sweep from using a store, said while the user still has the images at hand."""
    notes = []
    if not store.class_names:
        notes.append(
            "note: no image has a label. Such a store is for labelling, by jal label, jal next or "
            "jal.Session; a sweep needs labels to answer its queries."
        )
    elif len(store.splits) == 1:
        notes.append(
            "note: there is one split; a sweep holds a test split out of it with "
            "--config.pool.test_fraction=0.2."
        )
    return notes
