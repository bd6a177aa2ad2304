"""`jal embed` into a store of the older layout brings it up to date and embeds nothing."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import older_store
import pytest
from cheap_model import Model, install, paint, run

from jal.data import open_source
from jal.embedding import upgrade
from jal.embedding.request import request
from jal.errors import JalError
from jal.settings.loading import load_config
from jal.store.manifest import Store, open_store
from jal.store.rows import read

OPTIONS: dict[str, Any] = {"store.chunk_rows": 4, "store.dtype": "float16"}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    return install(monkeypatch)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    for number in range(20):
        split = "test" if number > 14 else "train"
        paint(tmp_path / "cells" / split / "ab"[number % 2] / f"{number:02}.ppm", number)
    return tmp_path / "cells"


def older(model: Model, cells: Path, store: Path, **options: Any) -> None:
    """The store that the version before would have made, with features that no model gives."""
    given = {"data.path": cells} | OPTIONS | options
    config = load_config("embed", [f"--config.{name}={value}" for name, value in given.items()])
    source = open_source(config.data)
    asked = request(config, source, model.backbone)
    asked["data"] = {"fingerprint": source.older or source.fingerprint}
    older_store.write(
        store,
        asked,
        {
            split: (
                np.array([[int(record.id[2:4]), 0.5, 0.5] for record in records]),
                [record.label for record in records],
                [record.id for record in records],
            )
            for split, records in source.splits.items()
        },
        source.class_names,
    )


def numbers(store: Store) -> dict[str, list[int]]:
    return {split: read(store, split).features[:, 0].astype(int).tolist() for split in store.splits}


def check(model: Model, store: Store) -> None:
    assert model.took() == 0
    assert not store.is_older
    assert not open_store(store.path).is_older
    assert store.data["kind"] == ""
    for split in store.splits:
        found = read(store, split)
        assert found.features[:, 0].astype(int).tolist() == [int(name[2:4]) for name in found.ids]
        assert (found.features[:, 1] == 0.5).all()  # as it was stored
        assert found.labels.tolist() == ["ab".index(name[0]) for name in found.ids]
    assert sorted(chain.from_iterable(numbers(store).values())) == [*range(20)]
    assert not [file for file in Path(store.path).glob("t*/**/*") if file.is_file()]


def test_it_is_brought_up_to_date(
    model: Model, cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older(model, cells, tmp_path / "s")
    check(model, run(cells, tmp_path / "s", **OPTIONS))
    assert capsys.readouterr().err.count("is of the older layout") == 1
    # From now on images may move.
    (cells / "train" / "a").rename(cells / "train" / "c")
    store = run(cells, tmp_path / "s", **OPTIONS)
    assert model.took() == 0
    assert store.class_names == ("a", "b", "c")


def test_what_is_held_out_now_may_be_others(model: Model, cells: Path, tmp_path: Path) -> None:
    (cells / "test" / "a").rename(tmp_path / "a"), (cells / "test" / "b").rename(tmp_path / "b")
    for file in [*(cells / "train").rglob("*.ppm")]:
        file.rename(tmp_path / file.parent.name / file.name)
    folder = tmp_path / "flat"
    folder.mkdir()
    (tmp_path / "a").rename(folder / "a"), (tmp_path / "b").rename(folder / "b")
    # The rule of then held others out.
    older(model, folder, tmp_path / "s", **{"data.test_fraction": 0.2})
    manifest = tmp_path / "s" / "manifest.json"
    assert '"test": ' in manifest.read_text()
    (tmp_path / "s" / "train").rename(tmp_path / "s" / "x")
    (tmp_path / "s" / "test").rename(tmp_path / "s" / "train")
    (tmp_path / "s" / "x").rename(tmp_path / "s" / "test")
    sizes = open_store(str(tmp_path / "s")).splits
    text = manifest.read_text().replace(f'"train": {sizes["train"]}', '"train": ?')
    text = text.replace(f'"test": {sizes["test"]}', f'"test": {sizes["train"]}')
    manifest.write_text(text.replace('"train": ?', f'"train": {sizes["test"]}'))
    check(model, run(folder, tmp_path / "s", **OPTIONS, **{"data.test_fraction": 0.2}))


def test_killed_meanwhile_it_goes_on(
    model: Model, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(model, cells, tmp_path / "s")
    before = numbers(open_store(str(tmp_path / "s")))

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("start", "older.remove"):
        with monkeypatch.context() as patched:
            patched.setattr(f"jal.embedding.upgrade.{name}", dying)
            with pytest.raises(KeyboardInterrupt):
                run(cells, tmp_path / "s", **OPTIONS)
        if name == "start":
            assert numbers(open_store(str(tmp_path / "s"))) == before
    store = run(cells, tmp_path / "s", **OPTIONS)
    assert model.took() == 0
    assert numbers(store) == before
    assert upgrade.start is not dying


def test_a_damaged_chunk_is_embedded(model: Model, cells: Path, tmp_path: Path) -> None:
    older(model, cells, tmp_path / "s")
    (tmp_path / "s" / "train" / "records" / "1.json").write_text("{}")
    store = run(cells, tmp_path / "s", **OPTIONS)
    assert model.took() == 4
    assert sum(store.splits.values()) == 20


def test_other_images_are_refused(model: Model, cells: Path, tmp_path: Path) -> None:
    older(model, cells, tmp_path / "s")
    paint(cells / "train" / "a" / "50.ppm", 50)
    with pytest.raises(JalError, match=r"does not tell images apart.* give another --store"):
        run(cells, tmp_path / "s", **OPTIONS)
    assert open_store(str(tmp_path / "s")).is_older
