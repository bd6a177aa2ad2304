"""What is seen of results, pools and stores in a terminal and in a notebook."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from clustered_pool import clustered_arrays
from PIL import Image
from tiny_images import coloured_images, tiny_backbone

import jal
from jal.pools.images import LoraData


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> jal.SweepResult:
    folder = tmp_path_factory.mktemp("sweeps") / "w"
    return jal.sweep(
        clustered_arrays(5),
        "random,margins",
        workdir=folder,
        seeds=2,
        rounds=2,
        probe__max_epochs=3,
    )


def test_a_result_shows_its_table_and_where_it_is(written: jal.SweepResult) -> None:
    shown = repr(written)
    assert re.search(r"strategy +init +4 +8 +area", shown)
    assert re.search(r"margins +random +\d+\.\d ± \d+\.\d", shown)
    assert shown.endswith(f"results: {written.workdir}")
    assert max(map(len, shown.splitlines())) < 200
    assert "not written to files" in repr(written._replace(workdir=None))


def test_a_result_in_a_notebook_is_whole_by_itself(written: jal.SweepResult) -> None:
    page = written._repr_html_()
    assert "<table" in page
    assert "margins" in page
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size[0] > 300
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert str(written.workdir) in page


@pytest.mark.slow
def test_a_report_shows_its_link(
    written: jal.SweepResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = jal.make_report([written.workdir], tmp_path / "a b")
    assert repr(made).startswith(f"report: {tmp_path / 'a b' / 'report.html'} (")
    assert f'href="{(tmp_path / "a b" / "report.html").as_uri()}"' in made._repr_html_()
    monkeypatch.chdir(tmp_path)
    assert 'href="a%20b/report.html"' in made._repr_html_()


def test_pools_and_images_show_one_line() -> None:
    images = coloured_images()
    for value, words in (
        (jal.digits(), "pool of digits × pixels: 1297 pool, 500 test rows, 10 classes"),
        (images, "images of coloured: 60 pool, 30 test, 3 classes, 16 × 16 pixels"),
        (LoraData(images, tiny_backbone()), "16 × 16 pixels, and the backbone tiny"),
    ):
        assert words in repr(value)
        assert "\n" not in repr(value)
        assert "array" not in repr(value)
