"""The settings of a labelling session: every key with its default, composed from the rooms' parts."""

from __future__ import annotations

from ml_collections import ConfigDict

from jal.core.spec import ProbeSpec, PropagationSpec
from jal.embedding.config import EMBED_FIELDS
from jal.learners.lora.spec import PealSpec
from jal.settings.fields import Field, make_config, of_spec

# What session.json fixes: all that decides what is asked.
SESSION_FIELDS: dict[str, Field] = {
    "strategy": Field("dropquery", "what is asked once something is labelled"),
    "init": Field("centroid", "what is asked first; default: the strategy's own"),
    "seed": Field(1, "of every random choice"),
    "audit": Field(0.2, "share of the labels that only measure accuracy; 0: none is shown"),
    "ask_ahead": Field(True, "ask the next batch while images of the last are open"),
    "learner": Field("frozen", "frozen: a probe on features; lora: adapters too"),
    # Not of one type: None, the kind's own, until it is settled.
    **of_spec("probe", ProbeSpec, several=("weight_decay",)),
    "ssl": Field(False, "train on the whole pool, with labels propagated on its kNN graph"),
    **of_spec("propagation", PropagationSpec),
    **of_spec("lora", PealSpec),
}

# What a command that begins a session takes beside them: how its images are embedded.
LABEL_FIELDS: dict[str, Field] = {
    **EMBED_FIELDS,
    "store.path": Field("", "folder or gs:// of the embeddings; by default WORK/store"),
    "classes": Field("", "names of the classes, with commas between; more can be added later"),
    **SESSION_FIELDS,
}


def session_config() -> ConfigDict:
    """The defaults of a session."""
    return make_config(SESSION_FIELDS)


def label_config() -> ConfigDict:
    """The defaults of a session that begins with a folder of images."""
    return make_config(LABEL_FIELDS)
