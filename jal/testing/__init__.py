"""What jal asks of a strategy or an initialisation, as one call for your own; no test runner needed."""

from __future__ import annotations

from jal.selection.choices import One
from jal.testing.checks import CHECKS
from jal.testing.subject import Subject

__all__ = ["CHECKS", "Subject", "check_init", "check_strategy"]


def check_strategy(strategy: One, *, clusters: bool | None = None, reads_view: bool = True) -> None:
    """Raises unless a strategy keeps jal's contract; takes seconds, most of them compiling.

    ```python
    jal.testing.check_strategy(ratio)
    jal.testing.check_strategy("ratio(oversample=50)", clusters=True)
    ```

    It picks k distinct available positions, i32[k], with one class labelled, duplicates, all rows alike,
    half precision, rows of no multiple of a chunk, nothing but k left; from one trace whatever the data;
    the same for the same key, compiled and not, mapped over runs and alone; whatever the hidden labels.

    Args:
      strategy: a factory, a `Strategy`, a name with options, or a `Choice`.
      clusters: whether its picks depend on `view.clustering`; None does not ask.
      reads_view: whether they depend on more than the key, as those of "random" do not.

    Raises:
      AssertionError: in one sentence, what is not kept.
      JalError: when there is no such strategy.
    """
    _check(Subject("strategy", strategy, clusters=clusters, reads_view=reads_view))


def check_init(init: One, *, clusters: bool | None = None) -> None:
    """Raises unless an initialisation keeps jal's contract: a strategy asked with nothing labelled.

    Args:
      init: a factory, a `Strategy`, a name with options, or a `Choice`.
      clusters: whether its picks depend on `view.clustering`; None does not ask.

    Raises:
      AssertionError: in one sentence, what is not kept.
      JalError: when there is no such init.
    """
    _check(Subject("init", init, clusters=clusters))


def _check(subject: Subject) -> None:
    for check in CHECKS.values():
        check(subject)
