"""Specs: reading choices, ranges, schedules, buckets; every check that needs no data."""

from __future__ import annotations

import pytest

from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, bucket, make_batches, parse_choices
from jal.errors import JalError
from jal.selection import default_init, make_init, make_strategy


def test_choices_with_options() -> None:
    parsed = parse_choices("random, dropquery(space='features', draws=5),margins(dropout=True)")
    assert parsed == (
        Choice("random"),
        Choice("dropquery", (("draws", 5), ("space", "features"))),
        Choice("margins", (("dropout", True),)),
    )
    assert parse_choices(["random", "margins, entropy"]) == tuple(
        map(Choice, ("random", "margins", "entropy"))
    )
    assert parse_choices("") == ()


def test_a_choice_prints_as_it_is_read() -> None:
    for text in ("random", "dropquery(draws=5, space='features')"):
        (choice,) = parse_choices(text)
        assert str(choice) == text
        assert parse_choices(str(choice)) == (choice,)


@pytest.mark.parametrize(
    "text", ["margins(5)", "a b", "margins(", "1", "x.y", "margins(oversample=n)", "margins(**{})"]
)
def test_unreadable_choices(text: str) -> None:
    with pytest.raises(JalError, match="cannot read"):
        parse_choices(text)


def test_specs_are_hashable_and_compare_by_value() -> None:
    specs = {ExperimentSpec(Choice("random"), Choice("centroid"), (5, 5)) for _ in range(2)}
    assert len(specs) == 1
    (spec,) = specs
    assert (spec.budget, spec.rounds) == (10, 2)
    assert spec.probe == ProbeSpec()
    with pytest.raises(AttributeError):
        spec.batches = (1,)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lr", -0.1),
        ("weight_decay", -1.0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("max_epochs", 0),
        ("batch_size", 0),
        ("patience", 0),
        ("min_delta", -1e-3),
        ("lr", float("nan")),
    ],
)
def test_probe_ranges(field: str, value: float) -> None:
    with pytest.raises(JalError, match=rf"probe\.{field} is {value}"):
        ProbeSpec(**{field: value})


def test_probe_defaults_are_the_papers() -> None:
    spec = ProbeSpec()
    assert (spec.lr, spec.weight_decay, spec.dropout) == (1e-2, 1e-2, 0.75)
    assert (spec.max_epochs, spec.batch_size, spec.patience, spec.min_delta) == (
        400,
        4096,
        20,
        1e-3,
    )


def test_linear_batches() -> None:
    assert make_batches("linear", 4, 2, 1, 10, 1000) == (20, 10, 10, 10)
    assert make_batches("linear", 1, 1, 1, 10, 10) == (10,)


def test_doubling_batches_end_where_the_pool_does() -> None:
    # Budgets of 1, 2, 4, 8 labels a class.
    assert make_batches("doubling", 4, 1, 1, 10, 1000) == (10, 10, 20, 40)
    assert make_batches("doubling", 9, 1, 1, 10, 100) == (10, 10, 20, 40, 20)
    assert make_batches("doubling", 9, 1, 1, 10, 80) == (10, 10, 20, 40)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("weekly", 4, 1, 1, 10, 100), "choose from linear, doubling"),
        (("linear", 0, 1, 1, 10, 100), "rounds is 0"),
        (("linear", 4, 0, 1, 10, 100), "start is 0"),
        (("linear", 4, 1, -1, 10, 100), "step is -1"),
        (("linear", 11, 1, 1, 10, 100), "budget of 110 labels .* above the pool's 100 rows"),
        (("doubling", 2, 11, 1, 10, 100), "above the pool's 100 rows"),
    ],
)
def test_bad_schedules(arguments: tuple, message: str) -> None:
    with pytest.raises(JalError, match=message):
        make_batches(*arguments)


def test_buckets_double() -> None:
    assert [bucket(count) for count in (1, 64, 65, 128, 129, 512, 513)] == [
        64, 64, 128, 128, 256, 512, 1024,
    ]  # fmt: skip


def test_default_inits() -> None:
    assert default_init("dropquery") == Choice("centroid")
    assert default_init("margins") == Choice("random")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice("nonsense"), "unknown strategy 'nonsense'; choose from random, uncertainty"),
        (
            Choice("margins", (("draws", 3),)),
            "has no option 'draws'; it has dropout, rate, oversample",
        ),
        (Choice("random", (("draws", 3),)), "it has none"),
        (Choice("dropquery", (("draws", "x"),)), "takes a int"),
        (Choice("dropquery", (("rate", "x"),)), "takes a float"),
    ],
)
def test_bad_strategies(choice: Choice, message: str) -> None:
    with pytest.raises(JalError, match=message):
        make_strategy(choice)


def test_bad_init() -> None:
    with pytest.raises(JalError, match="unknown init 'margins'; choose from random, centroid"):
        make_init(Choice("margins"))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("margins", "oversample", 0), ("margins", "oversample", -2), ("dropquery", "relax", -1)],
)
def test_options_outside_their_range(name: str, option: str, value: int) -> None:
    with pytest.raises(JalError, match=f"{option} is {value}"):
        make_strategy(Choice(name, ((option, value),)))
