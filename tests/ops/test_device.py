"""Loops and branches of vmapped runs stay loops and branches; what is traced knows its device."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jal.ops import device


def sums(count: jax.Array, value: jax.Array) -> jax.Array:
    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        return total + jnp.where(index < count, value, 0)

    return jax.lax.fori_loop(0, device.most(count), add, jnp.float32(0))


def test_a_loop_runs_to_the_longest_of_its_neighbours() -> None:
    counts, values = np.array([1, 5, 0], np.int32), np.array([1, 2, 3], np.float32)
    together = jax.jit(jax.vmap(sums))
    assert together(counts, values).tolist() == [1, 10, 0]
    assert jax.jit(sums)(np.int32(4), np.float32(2)) == 8
    nested = jax.jit(jax.vmap(together))
    assert nested(counts[None], values[None]).tolist() == [[1, 10, 0]]


def branched(flag: jax.Array, rows: jax.Array) -> jax.Array:
    costly = lambda: jnp.where(flag, jnp.sort(rows), rows)  # noqa: E731
    return jax.lax.cond(device.any_of_all(flag), costly, lambda: rows)


def test_a_branch_that_no_run_takes_is_not_paid() -> None:
    rows = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    flags = np.array([False, True, False])
    together = jax.jit(jax.vmap(branched))
    expected = np.where(flags[:, None], np.sort(rows), rows)
    np.testing.assert_array_equal(together(flags, rows), expected)
    jaxpr = jax.make_jaxpr(jax.vmap(branched))(flags, rows).jaxpr
    assert "cond" in {equation.primitive.name for equation in jaxpr.eqns}


def test_a_program_for_this_machine_is_for_its_devices() -> None:
    assert device.on_cpu() == (jax.default_backend() == "cpu")
    assert device.a_step(1, 2) == (1 if device.on_cpu() else 2)
    assert device.memory() > 2**28


@pytest.mark.parametrize(("kind", "gib"), [("TPU v5 lite", 16), ("TPU v5", 95)])
def test_a_program_for_another_device_knows_it(kind: str, gib: int) -> None:
    described = jax.sharding.AbstractDevice(device_kind=kind, num_cores=1, platform="tpu")
    mesh = jax.sharding.AbstractMesh((1,), ("runs",), abstract_device=described)
    with jax.sharding.use_abstract_mesh(mesh):
        assert not device.on_cpu()
        assert device.memory() == gib * 2**30
        assert device.may_hold(gib * 2**26)
        assert not device.may_hold(gib * 2**26 + 1)
