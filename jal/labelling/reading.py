"""A session as it stands on disk, read by someone who changes nothing: no lock is taken, no file written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jal.errors import JalError
from jal.labelling.begin import begin, holds_session, pool_of
from jal.labelling.journal import Event, Journal
from jal.labelling.ledger import Ledger
from jal.labelling.lora_images import lora_images
from jal.labelling.material import Material
from jal.labelling.memory import Memory
from jal.labelling.names import JOURNAL, SESSION
from jal.labelling.options import Options, as_config, read_options
from jal.labelling.pictures import Pictures
from jal.labelling.training import Training


class Standing(NamedTuple):
    """Where a session stands.

    Attributes:
      folder: of it; None in memory.
      options, events, ledger: what it is, what was said, and what that amounts to.
      material, training: what is labelled and what follows; None where it is not at hand.
      pictures: the images.
      missing: why there is no material; "" where there is.
    """

    folder: Path | None
    options: Options
    events: Sequence[Event]
    ledger: Ledger
    material: Material | None
    training: Training | None
    pictures: Pictures
    missing: str = ""


def read_session(folder: Path, note: Callable[[str], None]) -> Standing:
    """The session of a folder, also while others label in it.

    Args:
      folder: of it.
      note: is told what must be said.

    Raises:
      JalError: there is none, or a file of it is damaged.
    """
    if not holds_session(folder):
        raise JalError(f"there is no labelling session in {folder}.")
    options = read_options(folder)
    as_config(options.settings, folder / SESSION)
    events = Journal(folder / JOURNAL, options.session, note).events
    where = pool_of(folder, options)
    missing = ""
    if not where:
        missing = "it labels an array of features, which is in no file: Session.report() knows it"
    elif "://" not in where and not Path(where).exists():
        missing = f"the embeddings that it labels are no longer in {where}"
    if missing:
        ledger = Ledger(list(options.classes)).fold(events)
        return Standing(folder, options, events, ledger, None, None, Pictures({}), missing)
    begun = begin(folder, None, None, None, {})
    material, pictures = begun.material, Pictures(begun.material.data)
    # The images of the LoRA learner are read only where something was not computed yet.
    images = partial(lora_images, material, pictures, note) if begun.group.lora else None
    memory = Memory(folder, writes=False)
    training = Training(material, options, begun.group, memory, events, images)
    ledger = Ledger(list(options.classes), material.moved).fold(events)
    return Standing(folder, options, events, ledger, material, training, pictures)
