"""What is loaded beside the computation: in order, in a thread, and without a say in what goes wrong."""

from __future__ import annotations

import threading

from jal.settings.beside import beside


def test_it_returns_at_once_and_goes_on_after_a_fault() -> None:
    may_go_on, done, told = threading.Event(), threading.Event(), []

    def waits() -> None:
        may_go_on.wait()
        told.append("waited")

    def fails() -> None:
        raise ImportError("not here")

    beside(waits, fails, lambda: told.append("after"), done.set)
    assert told == []
    may_go_on.set()
    assert done.wait(timeout=600)
    assert told == ["waited", "after"]
