"""The residual probe's adapter, run once a query where a strategy reads the pool once a pick."""

from __future__ import annotations

from dataclasses import replace

from jal.core.types import Array, View
from jal.learners.residual import adapt
from jal.ops.chunks import map_rows


def adapted_once(view: View) -> View:
    """The view with its features f[N, D] adapted, in their own dtype, and a probe without an adapter.

    The same view where the probe has none.
    """
    adapter = view.probe.adapter
    if adapter is None:
        return view
    features = view.features

    def chunk(_: Array, rows: Array) -> Array:
        return adapt(adapter, rows.astype("float32")).astype(features.dtype)

    return replace(
        view, features=map_rows(chunk, features), probe=replace(view.probe, adapter=None)
    )
