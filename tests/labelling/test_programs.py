"""How much a session compiles: a handful of programs for twenty rounds, and none a second time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import processes
import pytest

ROUNDS, BATCH = 20, 20


def programs_of(cache: str, strategy: str) -> dict[str, int]:
    """How many programs twenty rounds build, and how many of these were not in the cache."""
    import jax

    import jal

    jax.config.update("jax_compilation_cache_dir", cache)
    # Every program is kept, however quickly it was compiled, as the commands of jal have it.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    events: Counter[str] = Counter()
    jax.monitoring.register_event_listener(lambda event, **_: events.update([event]))
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: events.update([event])
    )
    random = np.random.default_rng(0)
    labels = np.arange(1000) % 4
    features = (3 * np.eye(4, 6)[labels] + random.normal(size=(1000, 6))).astype(np.float32)
    session = jal.Session(
        features, classes=4, strategy=strategy, probe__max_epochs=3, progress=False
    )
    for _ in range(ROUNDS):
        rows = session.ask(BATCH)["row"].to_numpy()
        session.tell(rows, labels[rows])
    assert len(session.labels()) == ROUNDS * BATCH
    return {
        "built": events["/jax/core/compile/backend_compile_duration"],
        "missed": events["/jax/compilation_cache/cache_misses"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["dropquery", "probcover"])
def test_twenty_rounds_build_few_programs_and_a_second_session_compiles_none(
    tmp_path: Path, strategy: str
) -> None:
    first = processes.call(programs_of, str(tmp_path / "cache"), strategy)
    assert 0 < first["missed"] <= first["built"] <= 12
    again = processes.call(programs_of, str(tmp_path / "cache"), strategy)
    assert again["missed"] == 0
