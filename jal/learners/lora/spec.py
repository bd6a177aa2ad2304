"""The recipe of the LoRA learner, frozen and hashable, with every check that needs no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jal.backbones.spec import LoRASpec, ViTSpec
from jal.core.spec import option
from jal.errors import JalError

PREFIXES = ("auto", "none", "float32", "bfloat16", "float16")
HEADS = ("random", "probe")
_ANY = float("inf")


@dataclass(frozen=True)
class PealSpec:
    """How adapters and head are trained each round (PEAL, arXiv 2406.09296; the values are ours).

    Attributes:
      rank, alpha, targets, dropout: of the adapters, as in `jal.backbones.spec.LoRASpec`.
      blocks: how many of the last blocks are adapted; 0 for all.
      lr, weight_decay: AdamW's, only the defaults of what may be mapped over.
      warm_up: the share of the steps over which the learning rate rises, before its cosine decay.
      epochs: passes over the labelled set, at most.
      batch_size: images a step.
      patience: epochs without a drop of the training loss by `min_delta` before stopping; 0: never.
      min_delta: the least drop that counts, in nats.
      flip: mirror training images left to right at random.
      crop: the least share of a training image's area that a random crop keeps; 1: no crops.
      head: "random" (uniform ±1/sqrt(F)) or "probe": a linear probe on the frozen features of the
        labelled set, so that training starts from linear probing (Kumar et al., ICLR 2022).
      head_dropout: the rate on the head's input, in training and for Monte Carlo prediction.
      batch_norm: normalise the head's input by batch statistics, as the frozen learner's probe does.
      warm_start: go on from the round before instead of fresh adapters and head.
      prefix: what to do with the frozen blocks before the adapted ones: "none" computes them every
        time, a dtype keeps their outputs in it, "auto" keeps them in float32 when there are any.
      images_at_once: images of a step whose activations are held together; 0: 8 on CPU, else all.

    Raises:
      JalError: on a value outside its range.
    """

    rank: int = option(4, "inner width of the adapters")
    alpha: float = option(8.0, "their scale is alpha / rank")
    targets: tuple[str, ...] = option(("q", "k", "v"), "adapted maps: any of q, k, v, o, fc1, fc2")
    blocks: int = option(0, "adapt only so many of the last blocks; 0: all")
    dropout: float = option(0.0, "on the adapters' input, in training")
    lr: float = option(2e-3, "AdamW's peak learning rate")
    weight_decay: float = option(1e-2, "decoupled weight decay")
    warm_up: float = option(0.1, "share of the steps before the cosine decay")
    epochs: int = option(15, "passes over the labelled set, at most")
    batch_size: int = option(32, "images a step")
    patience: int = option(0, "epochs without improvement before stopping; 0: never")
    min_delta: float = option(1e-3, "the least drop of the training loss that counts")
    flip: bool = option(True, "mirror training images at random")
    crop: float = option(1.0, "least share of the area kept by random crops; 1: none")
    head: str = option("probe", "start of the head: random, or the linear probe")
    head_dropout: float = option(0.5, "on the head's input, also for MC dropout")
    batch_norm: bool = option(False, "normalise the head's input by batch statistics")
    warm_start: bool = option(False, "go on from the round before")
    prefix: str = option("auto", "keep the frozen blocks' tokens: auto, none or a dtype")
    images_at_once: int = option(0, "images whose activations are held together; 0: auto")

    def __post_init__(self) -> None:
        for name, low, high, bounds in (
            ("blocks", 0, _ANY, "at least 0"),
            ("lr", 0, _ANY, "at least 0"),
            ("weight_decay", 0, _ANY, "at least 0"),
            ("warm_up", 0, 1, "from 0 to 1"),
            ("epochs", 1, _ANY, "at least 1"),
            ("batch_size", 1, _ANY, "at least 1"),
            ("patience", 0, _ANY, "at least 0"),
            ("min_delta", 0, _ANY, "at least 0"),
            ("crop", 1e-3, 1, "above 0 and at most 1"),
            ("head_dropout", 0, 1 - 2**-16, "at least 0 and below 1"),
            ("images_at_once", 0, _ANY, "at least 0"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise JalError(f"lora.{name} is {value}; it must be {bounds}.")
        for name, choices in (("prefix", PREFIXES), ("head", HEADS)):
            if getattr(self, name) not in choices:
                raise JalError(
                    f"lora.{name} is {getattr(self, name)!r}; choose from {', '.join(choices)}."
                )
        if self.warm_start and self.head == "probe":
            raise JalError("lora.head='probe' starts afresh each round; set lora.warm_start=False.")
        _ = self.adapters

    @property
    def adapters(self) -> LoRASpec:
        """The adapters' own spec."""
        return LoRASpec(self.rank, self.alpha, self.targets, self.blocks or None, self.dropout)

    @property
    def augments(self) -> bool:
        """Whether training images are changed at random."""
        return self.flip or self.crop < 1

    def prefix_length(self, backbone: ViTSpec) -> int:
        """How many frozen blocks come before the first adapted one.

        Raises:
          JalError: when more blocks are to be adapted than there are.
        """
        if self.blocks > backbone.depth:
            raise JalError(
                f"lora.blocks is {self.blocks}, but the backbone has {backbone.depth} blocks."
            )
        return backbone.depth - self.blocks if self.blocks else 0

    def prefix_dtype(self, backbone: ViTSpec) -> str | None:
        """The dtype in which the frozen prefix's outputs are kept; None when they are not."""
        if self.prefix == "none" or not self.prefix_length(backbone):
            return None
        return "float32" if self.prefix == "auto" else self.prefix


def from_mapping(values: dict[str, Any]) -> PealSpec:
    """A spec from a config's `lora` part; lists become tuples.

    Raises:
      JalError: on an unknown key or a value of the wrong type or outside its range.
    """
    fields = PealSpec.__dataclass_fields__
    for name in values:
        if name not in fields:
            raise JalError(f"unknown key lora.{name}; choose from {', '.join(fields)}.")
    clean: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    if isinstance(clean.get("targets"), str):
        clean["targets"] = tuple(part.strip() for part in clean["targets"].split(","))
    for name, value in clean.items():
        default = fields[name].default
        expected = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, expected) or isinstance(value, bool) != isinstance(default, bool):
            raise JalError(f"lora.{name} is {value!r}; it takes a {type(default).__name__}.")
    return PealSpec(**clean)
