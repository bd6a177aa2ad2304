"""`jal embed`: from the command line to a finished store, with a bar that shows images/s."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from jal.config import load_config
from jal.errors import JalError
from jal.progress import make_bar
from jal.store import Store

if TYPE_CHECKING:
    from rich.console import Console


class EmbedProgress:
    """A bar a split in a terminal, a line a split elsewhere; both show images/s."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = make_bar(console, "images", "{task.fields[rate]}")
        self._split = ""
        self._task = self._bar.add_task("", total=None, rate="", visible=False)
        self._done = self._images = 0
        self._began = 0.0

    def __enter__(self) -> EmbedProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, split: str, images: int, done: int) -> None:
        """A split begins: its images, and how many an earlier run finished."""
        if done:
            self._print(f"{split}: {done} of {images} images are there already")
        self._split, self._images, self._done = split, images - done, 0
        self._began = time.perf_counter()
        self._task = self._bar.add_task(split, total=images, completed=done, rate="")

    def advance(self, images: int) -> None:
        """Some more are embedded."""
        self._done += images
        seconds = time.perf_counter() - self._began
        rate = f"{self._done / seconds:.0f} images/s"
        self._bar.update(self._task, advance=images, rate=rate)
        if self._done == self._images:
            self._print(f"{self._split}: {self._done} images in {seconds:.1f} s, {rate}")

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def run(reference: str, store_path: str, skip_bad: bool, overrides: list[str]) -> None:
    """Embeds what a config names, and says what the store holds.

    Args:
      reference: as `jal.config.load_config` takes it.
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

    from rich.console import Console

    from jal.embed import embed

    console = Console()
    with EmbedProgress(console) as progress:
        store = embed(config, progress)
    skipped = [
        (split, *image) for split, images in store.manifest["skipped"].items() for image in images
    ]
    for split, name, reason in skipped:
        console.print(f"left out: {split}/{name} ({reason})", highlight=False, soft_wrap=True)
    for note in _notes(store):
        console.print(note, highlight=False, soft_wrap=True)
    console.print(f"{store.describe()}\nstore: {store.path}", highlight=False, soft_wrap=True)


def _notes(store: Store) -> list[str]:
    """What keeps a sweep from using a store, said while the user still has the images at hand."""
    notes = []
    if not store.class_names:
        notes.append("note: no image has a label; a sweep needs labels to answer its queries.")
    if len(store.splits) == 1:
        notes.append(
            "note: there is one split; a sweep needs a test split: data.test_fraction=0.2."
        )
    return notes
