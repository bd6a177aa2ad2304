"""Figures show names as they are, whatever matplotlib was told, and show themselves in a notebook."""

from __future__ import annotations

import io

import matplotlib
import pandas as pd
import pytest

import jal

METRICS = pd.DataFrame(
    {
        "run": [0, 0, 1, 1], "dataset": "a$_$b^{", "backbone": "x", "learner": "frozen",
        "strategy": "random", "init": "random", "seed": [1, 1, 2, 2], "round": [1, 2, 1, 2],
        "labelled": [4, 8, 4, 8], "accuracy": [0.5, 0.6, 0.4, 0.7],
    }
)  # fmt: skip


@pytest.mark.parametrize("settings", [{}, {"text.usetex": True}, {"text.parse_math": True}])
def test_a_name_is_no_formula(settings: dict[str, bool]) -> None:
    with matplotlib.rc_context(settings):
        figure = jal.plot_curves(METRICS)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_a_notebook_without_pyplot_shows_the_picture() -> None:
    figure = jal.plot_curves(METRICS)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
