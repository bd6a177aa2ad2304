"""Runs over devices: who goes where, and the same bits alone, beside others and in any bucket."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import processes
import pytest

from jal.core.spec import ProbeSpec
from jal.core.types import Hyper
from jal.engine.layout import make_layout
from jal.engine.mapped import over_runs
from jal.errors import JalError
from jal.learners import probe


@pytest.mark.parametrize("runs", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(("mode", "chunk"), [("map", 0), ("vmap", 0), ("vmap", 2)])
def test_every_run_has_a_row_of_its_own(runs: int, mode: str, chunk: int) -> None:
    layout = make_layout(runs, mode, chunk)
    rows = layout.row_of_run()
    assert len(set(rows.tolist())) == runs
    assert layout.active().sum() == runs
    assert rows.max() < layout.padded == layout.local * layout.mesh.size
    # A device's real runs are at the head of its rows: the padding behind them is never computed.
    for device, active in enumerate(layout.active()):
        own = rows[rows // layout.local == device] % layout.local
        assert sorted(own.tolist()) == list(range(active))


@pytest.mark.parametrize(("mode", "chunk"), [("map", 0), ("vmap", 0), ("vmap", 2)])
@pytest.mark.parametrize("runs", [1, 3, 5])
def test_results_come_back_in_order(runs: int, mode: str, chunk: int) -> None:
    layout = make_layout(runs, mode, chunk)
    values = np.arange(runs, dtype=np.float32)
    program = over_runs(lambda x, shared, index: {"y": x * shared + index}, layout)
    out = program(layout.spread(values), layout.share(np.float32(10)), 3)
    np.testing.assert_array_equal(layout.collect(out)["y"], values * 10 + 3)
    np.testing.assert_array_equal(layout.collect(layout.spread(values)), values)


def test_typed_keys_pass_through() -> None:
    layout = make_layout(3, "map")

    def draw(seed: jax.Array, shared: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        key = jax.random.fold_in(jax.random.key(seed), index)
        return key, jax.random.uniform(key)

    program = over_runs(draw, layout)
    _, drawn = program(layout.spread(np.arange(3, dtype=np.uint32)), layout.share(0.0), 1)
    expected = [jax.random.uniform(jax.random.fold_in(jax.random.key(s), 1)) for s in range(3)]
    np.testing.assert_array_equal(layout.collect(drawn), np.asarray(expected))


def test_one_trace_a_program() -> None:
    traces = []

    def function(x: jax.Array, shared: jax.Array, index: jax.Array) -> jax.Array:
        traces.append(1)
        return x + shared + index

    layout = make_layout(3, "map")
    program = over_runs(function, layout)
    for index in range(4):
        program(layout.spread(np.arange(3.0)), layout.share(np.float32(1)), np.int32(index))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, "pmap"), "unknown mode 'pmap'; choose from auto, map, vmap"),
        ((3, "map", 0, 99), "devices is 99, but there are"),
        ((3, "map", 0, -1), "devices is -1"),
    ],
)
def test_bad_layouts(arguments: tuple, message: str) -> None:
    with pytest.raises(JalError, match=message):
        make_layout(*arguments)


def test_auto_maps_on_cpu() -> None:
    assert make_layout(5, "auto").mode == "map"
    assert make_layout(5, "auto").chunk == 1
    assert make_layout(1, "map").mesh.size == min(2, len(jax.devices()))
    assert make_layout(5, "map", devices=1).dealt == 1
    assert make_layout(5, "vmap", devices=1).mesh.size == 1


ROWS, DIMENSION, CLASSES = 90, 16, 4
SPEC = ProbeSpec(max_epochs=30)


def fitted(seeds: list[int], size: int, mode: str = "map", devices: int = 1) -> np.ndarray:
    """f32[seeds, D, C]: kernels after a fit on 90 rows padded to `size`."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, ROWS)
    features = random.normal(size=(ROWS, DIMENSION)) + 2 * np.eye(CLASSES, DIMENSION)[labels]
    padded = np.zeros((size, DIMENSION), np.float32)
    padded[:ROWS] = features
    shared = (padded, np.pad(labels, (0, size - ROWS)).astype(np.int32), np.arange(size) < ROWS)

    def fit(seed: jax.Array, shared: tuple, _: jax.Array) -> jax.Array:
        hyper = Hyper(jnp.float32(1e-2), jnp.float32(1e-2))
        return probe.fit(jax.random.key(seed), *shared, hyper, SPEC, CLASSES)[0].kernel

    layout = make_layout(len(seeds), mode, devices=devices)
    program = over_runs(fit, layout)
    kernels = program(layout.spread(np.asarray(seeds, np.uint32)), layout.share(shared), 0)
    return layout.collect(kernels)


@pytest.fixture(scope="module")
def kernels() -> dict[str, np.ndarray]:
    """The same fit in several layouts, compiled as users do: the last bits are looked at."""
    return processes.call(fitted_in_layouts, as_shipped=True)


def fitted_in_layouts() -> dict[str, np.ndarray]:
    assert len(jax.devices()) == 2
    return {
        "alone on one": fitted([7], 128)[0],
        "alone on two": fitted([7], 128, devices=0)[0],
        "beside on one": fitted([3, 7, 9, 11], 128)[1],
        "beside on two": fitted([3, 7, 9, 11], 128, devices=0)[1],
        "another": fitted([3], 128)[0],
        "bucket": fitted([7], 256)[0],
        "vmapped": fitted([3, 7, 9], 128, mode="vmap")[1],
    }


@pytest.mark.slow
@pytest.mark.parametrize("how", ["alone on two", "beside on one", "beside on two"])
def test_the_same_bits_alone_and_beside_others(how: str, kernels: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(kernels[how], kernels["alone on one"])
    assert not np.array_equal(kernels[how], kernels["another"])


def fitted_on_eight() -> np.ndarray:
    assert len(jax.devices()) == 8
    return fitted([3, 7, 9, 11, 13, 15, 17, 19, 21, 23], 128, devices=0)[1]


@pytest.mark.slow
def test_the_same_bits_on_eight_devices(kernels: dict[str, np.ndarray]) -> None:
    found = processes.call(fitted_on_eight, devices=8, as_shipped=True)
    np.testing.assert_array_equal(found, kernels["alone on one"])


@pytest.mark.slow
@pytest.mark.parametrize(("how", "tolerance"), [("bucket", 1e-5), ("vmapped", 1e-3)])
def test_close_in_any_bucket_and_vmapped(
    how: str, tolerance: float, kernels: dict[str, np.ndarray]
) -> None:
    np.testing.assert_allclose(kernels[how], kernels["alone on one"], atol=tolerance)
