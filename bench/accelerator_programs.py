"""Every compiled program of jal at named sizes, as shapes on a layout's devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jal import experiment, selection
from jal.backbones import vit
from jal.backbones.spec import DINOV2
from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, bucket, make_batches, parse_choices
from jal.core.types import Hyper, Labelled, Pool, RunKeys
from jal.engine import drive_lora, programs
from jal.engine.layout import AXIS, Layout
from jal.engine.mapped import with_pool
from jal.learners.frozen import frozen
from jal.learners.lora.spec import PealSpec
from jal.learners.lora.train import make_lora_learner
from jal.ops.spread import ROWS
from jal.selection.builtin import DEFAULT_INITS, INITS, STRATEGIES
from jal.weights.encoder import compute_params
from jal.weights.preprocess import Preprocessing

ROUNDS = 20
PROBE = ProbeSpec()
KINDS = ("begin", "prepare", "start", "fit", "query", "whole", "train", "embed", "encode")


@dataclass(frozen=True)
class Size:
    """A pool, and a backbone of the study that it might come from."""

    rows: int
    dimension: int
    classes: int
    dtype: str
    test: int
    backbone: str
    images: int = 256

    @property
    def batches(self) -> tuple[int, ...]:
        """One label a class each round."""
        return make_batches("linear", ROUNDS, 1, 1, self.classes, self.rows)


SIZES = {
    "small": Size(5_000, 384, 10, "float32", 1_000, "dinov2-small"),
    "study": Size(50_000, 1_536, 100, "float32", 10_000, "dinov2-base"),
    "imagenet": Size(1_280_000, 1_024, 1_000, "float16", 50_000, "dinov2-giant"),
}


class Item(NamedTuple):
    """A program: its name, its function as it is traced, and the shapes that it takes."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Shapes:
    """Shapes of what a size's programs take, on a layout's devices."""

    def __init__(self, size: Size, layout: Layout) -> None:
        self.size, self.layout = size, layout
        self.whole = NamedSharding(layout.mesh, P())
        self.of_runs = self.whole if layout.shards_pool else NamedSharding(layout.mesh, P(AXIS))

    def run(self, *shape: int, dtype: Any = jnp.float32) -> Any:
        """With a leading axis of runs."""
        return jax.ShapeDtypeStruct((self.layout.padded, *shape), dtype, sharding=self.of_runs)

    def runs(self, tree: Any) -> Any:
        """A tree of one run's shapes for all of them."""
        return jax.tree.map(lambda leaf: self.run(*leaf.shape, dtype=leaf.dtype), tree)

    def shared(self, tree: Any) -> Any:
        """The same on every device."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.whole), tree
        )

    def pool(self) -> Pool:
        """The pool; its rows shared out where the layout shares them."""
        size, devices = self.size, self.layout.mesh.size
        rows = -(-size.rows // devices) * devices if self.layout.shards_pool else size.rows
        features = jax.ShapeDtypeStruct(
            (rows, size.dimension),
            size.dtype,
            sharding=NamedSharding(self.layout.mesh, P(ROWS if self.layout.shards_pool else None)),
        )
        others = self.shared(
            Pool(
                jnp.zeros(0),
                jax.ShapeDtypeStruct((size.rows,), jnp.int32),  # type: ignore[arg-type]
                jax.ShapeDtypeStruct((size.test, size.dimension), size.dtype),  # type: ignore[arg-type]
                jax.ShapeDtypeStruct((size.test,), jnp.int32),  # type: ignore[arg-type]
                size.classes,
            )
        )
        return replace(others, features=features)  # type: ignore[arg-type]

    def seeds(self) -> RunKeys:
        """One number a run and purpose."""
        return RunKeys(*(self.run(dtype=jnp.uint32) for _ in range(4)))

    def hyper(self) -> Hyper:
        """One learning rate and weight decay a run."""
        return Hyper(self.run(), self.run())


def frozen_programs(
    size: Size, layout: Layout, strategies: tuple[Choice, ...], kinds: tuple[str, ...]
) -> Iterator[Item]:
    """The programs of a sweep on stored features, each strategy with its own init."""
    shapes, k = Shapes(size, layout), size.classes
    pool, batches, learner = shapes.pool(), size.batches, frozen(PROBE)
    one = jax.eval_shape(
        lambda: experiment.empty(
            PROBE, bucket(sum(batches)), experiment.run_keys(jax.random.key(0)), _blank(pool, size)
        )
    )
    state = shapes.runs(one)
    if "fit" in kinds:
        program = programs.fit(learner, bucket(sum(batches)), layout)
        yield Item("fit", program, ((state, shapes.hyper()), (pool, None)))
    caches: dict[tuple[str, Choice], Any] = {}

    def cache_of(kind: str, choice: Choice) -> Any:
        if (kind, choice) not in caches:
            made = (
                selection.make_init(choice) if kind == "init" else selection.make_strategy(choice)
            )
            function = with_pool(partial(_prepared, made, batches), layout)
            caches[kind, choice] = function, shapes.shared(jax.eval_shape(function, pool))
        return caches[kind, choice]

    inits = [Choice(name) for name in INITS if name != "given"]
    asked = {choice.name for choice in strategies}
    for choice in inits:
        users = {name for name in STRATEGIES if DEFAULT_INITS.get(name, "random") == choice.name}
        if "begin" in kinds and users & asked:
            _, cache = cache_of("init", choice)
            program = programs.begin(choice, learner, PROBE, batches, layout)
            yield Item(f"begin {choice}", program, ((shapes.seeds(), None), (pool, cache)))
    for choice in strategies:
        prepare, cache = cache_of("strategy", choice)
        if "prepare" in kinds and jax.tree.leaves(cache):
            yield Item(f"prepare {choice}", prepare, (pool,))
        made = selection.make_strategy(choice)
        own = jax.eval_shape(
            lambda state, pool, cache, made=made: experiment.start_strategy(
                made, PROBE, state, pool, cache
            ).strategy,
            one, _blank(pool, size), cache,
        )  # fmt: skip
        started = replace(state, strategy=shapes.runs(own))
        if "start" in kinds and jax.tree.leaves(own):
            yield Item(
                f"start {choice}", programs.start(choice, PROBE, layout), (state, (pool, cache))
            )
        if "query" in kinds:
            program = programs.query(choice, PROBE, k, layout)
            yield Item(f"query {choice}", program, ((started, None, shapes.hyper()), (pool, cache)))
        if "whole" in kinds:
            init = Choice(DEFAULT_INITS.get(choice.name, "random"))
            spec = ExperimentSpec(choice, init, batches, PROBE)
            given = experiment.Caches(cache_of("init", init)[1], cache)
            program = programs.whole(spec, learner, layout)
            yield Item(
                f"whole {choice}",
                program,
                (((shapes.seeds(), None), shapes.hyper()), (pool, given)),
            )


def _prepared(made: Any, batches: tuple[int, ...], pool: Pool) -> Any:
    return experiment.prepare(made, pool, batches)


def _blank(pool: Pool, size: Size) -> Pool:
    """The pool's shapes without padding or devices."""
    features = jax.ShapeDtypeStruct((size.rows, size.dimension), size.dtype)
    bare = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), pool)
    return replace(bare, features=features)


def image_programs(size: Size, layout: Layout, kinds: tuple[str, ...]) -> Iterator[Item]:
    """LoRA of rank 1 on q, k and v in bfloat16 at 224 px, and the frozen encoder, of `images` images."""
    shapes, on_cpu = Shapes(size, layout), layout.mesh.devices.flat[0].platform == "cpu"
    spec = replace(DINOV2[size.backbone], dtype="bfloat16", remat=True)
    params = jax.eval_shape(partial(vit.init, spec=spec), jax.random.key(0))
    base = shapes.shared(jax.eval_shape(partial(compute_params, spec), params))
    images = shapes.shared(jax.ShapeDtypeStruct((size.images, *spec.image_size, 3), jnp.uint8))
    normalise = Preprocessing(spec.image_size, 3, None, mean=(0.5,) * 3, std=(0.5,) * 3).normalise
    learner = make_lora_learner(
        PealSpec(rank=1, head="random"), spec, normalise, size.classes, on_cpu=on_cpu
    )
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = shapes.runs(jax.eval_shape(learner.start, key, _blank(shapes.pool(), size))[0])
    rows = bucket(2 * size.classes)
    labelled = Labelled(
        shapes.run(rows, dtype=jnp.int32),
        shapes.run(rows, *spec.image_size, 3, dtype=jnp.uint8),
        shapes.run(rows, dtype=jnp.int32),
        shapes.run(rows, dtype=bool),
        None,
    )
    if "train" in kinds:
        keys = RunKeys(*(shapes.run(dtype=key.dtype) for _ in range(4)))
        program = drive_lora.train_program(learner, layout)
        yield Item(
            f"train {size.backbone}", program, ((keys, state, labelled, shapes.hyper()), base)
        )
    if "embed" in kinds:
        program = drive_lora.embed_program(learner, layout)
        yield Item(f"embed {size.backbone}", program, (state, (base, images)))
    if "encode" in kinds:

        def encode(base: Any, images: Any) -> Any:
            return vit.forward(spec, base, normalise(images))[0]

        yield Item(f"encode {size.backbone}", encode, (base, images))


def chosen(names: list[str]) -> tuple[Choice, ...]:
    """Strategies by name, with options; all built-in ones where none is named."""
    return parse_choices(names or list(STRATEGIES))
