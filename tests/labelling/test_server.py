"""The page's server: the picks of ask and tell, undo, windows that share, images, and its command."""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import processes
import pytest
from fixtures.make_backbone_fixtures import FOLDER
from labelling.page_session import (
    CLIENT,
    Browser,
    make_session,
    page_of,
    truth,
    until,
)
from PIL import Image

from jal.cli import main
from jal.errors import JalError
from jal.labelling.calls import Calls
from jal.labelling.desk import LEASE, Desk
from jal.labelling.session import Session
from jal.labelling.thumbnails import Thumbnails

OTHER = "windowwindow2"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def page(tmp_path: Path, images: Path) -> Iterator[Browser]:
    with page_of(make_session(tmp_path / "work", images)) as browser:
        browser.work = tmp_path / "work"  # type: ignore[attr-defined]
        yield browser


def label(browser: Browser, ids: list[str], name: str | None = None, client: str = CLIENT) -> None:
    """Says what images are."""
    for id in ids:
        browser.call(
            "answer", client=client, kind="label", ids=[id], **{"class": name or truth(id)}
        )


def journal(browser: Browser) -> list[dict[str, object]]:
    lines = (browser.work / "journal.jsonl").read_text().splitlines()[1:]  # type: ignore[attr-defined]
    return [json.loads(line) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["margins", "dropquery"])
def test_picks_are_those_of_ask_and_tell(strategy: str, images: Path, tmp_path: Path) -> None:
    settings = {"strategy": strategy, "audit": 0.0, "ask_ahead": False}
    alone = make_session(None, images, **settings)
    for _ in range(3):
        asked = list(alone.ask(6)["id"])
        alone.tell({id: truth(id) for id in asked})
    served = make_session(tmp_path / "work", images, **settings)
    with page_of(served) as browser:
        while len(served.labels()) < 18:
            # In another order, and in two windows: neither matters.
            label(browser, browser.claim(4)[::-1])
            found = browser.call("claim", client=OTHER, count=2)["items"]
            label(browser, [item["id"] for item in found], client=OTHER)
    assert [ask.items for ask in served.ledger.asks[:3]] == [ask.items for ask in alone.ledger.asks]


def test_what_is_acknowledged_is_on_disk(page: Browser) -> None:
    first = page.claim(1)
    answer = page.call(
        "answer", client=CLIENT, kind="label", ids=first, seconds=2.5, **{"class": "dark"}
    )
    said = journal(page)[-1]
    assert (said["event"], said["id"], said["class"]) == ("label", first[0], "dark")
    assert (said["who"], said["seconds"]) == ("anna", 2.5)
    assert answer["count"] == 1
    assert answer["state"]["labelled"] == 1


def test_an_answer_that_cannot_be_written_is_refused(
    page: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = page.claim(1)
    before = len(journal(page))
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("jal.labelling.journal.os.fsync", full)
        status, answer = page.try_call(
            "answer", {"client": CLIENT, "kind": "label", "ids": first, "class": "dark"}
        )
    assert status == 400
    assert "No space left on device" in answer["error"]
    assert len(journal(page)) == before
    assert page.call("state", client=CLIENT)["mine"] == first


def test_one_undo_takes_back_what_one_key_did(page: Browser) -> None:
    ids = page.claim(4)
    label(page, ids[:1])
    page.call("answer", client=CLIENT, kind="label", ids=ids[1:], **{"class": "bright"})
    taken = page.call("undo", client=CLIENT)
    assert [item["id"] for item in taken["items"]] == ids[1:]
    assert taken["state"]["labelled"] == 1
    assert sorted(taken["state"]["mine"]) == sorted(ids[1:])
    assert [item["id"] for item in page.call("undo", client=CLIENT)["items"]] == ids[:1]
    assert page.call("undo", client=CLIENT)["items"] == []


def test_undo_goes_across_rounds_and_windows_that_were_loaded_anew(page: Browser) -> None:
    first = page.claim(6)
    label(page, first)
    second = page.claim(1)
    assert second[0] not in first
    label(page, second)
    page.call("release", client=CLIENT)
    for id in (second[0], first[-1], first[-2]):
        assert [item["id"] for item in page.call("undo", client=OTHER)["items"]] == [id]
    assert set(first[-2:]) <= set(page.claim(20, OTHER))


def test_undo_of_a_correction_brings_the_answer_before_back(page: Browser) -> None:
    (id,) = page.claim(1)
    label(page, [id], "dark")
    label(page, [id], "bright")
    page.call("undo", client=CLIENT)
    (item,) = page.call("gallery", of="labelled", count=5)["items"]
    assert (item["id"], item["label"]) == (id, "dark")


def test_what_another_has_corrected_is_not_undone(page: Browser) -> None:
    (id,) = page.claim(1)
    label(page, [id], "dark")
    page.call("answer", client=OTHER, kind="label", ids=[id], who="ben", **{"class": "bright"})
    page.call("undo", client=CLIENT)
    (item,) = page.call("gallery", of="all", count=1, order="latest first")["items"]
    assert (item["label"], item["who"]) == ("bright", "ben")


def test_skipped_and_unsure_images_are_listed_and_taken_back(page: Browser) -> None:
    first, second = page.claim(2)
    page.call("answer", client=CLIENT, kind="skip", ids=[first])
    page.call("answer", client=CLIENT, kind="unsure", ids=[second])
    aside = page.call("gallery", of="aside", count=9, order="latest first")["items"]
    assert [(item["id"], item["kind"]) for item in aside] == [(second, "unsure"), (first, "skip")]
    taken = page.call("take_back", client=CLIENT, ids=[first, second])
    assert taken["state"]["aside"] == 0
    assert {first, second} <= set(taken["state"]["mine"])


def test_classes_are_added_and_renamed_in_place(page: Browser) -> None:
    (id,) = page.claim(1)
    page.call("add_class", client=CLIENT, name="  grey ")
    label(page, [id], "grey")
    state = page.call("rename_class", client=CLIENT, name="grey", to="mid")["state"]
    assert state["classes"][-1] == {"name": "mid", "count": 1}
    status, answer = page.try_call("add_class", {"client": CLIENT, "name": "mid"})
    assert (status, answer["error"]) == (400, "there is a class 'mid' already.")


def test_the_gallery_filters_sorts_and_pages(page: Browser) -> None:
    label(page, page.claim(6))
    page.claim(1)
    whole = page.call("gallery", count=20)
    assert whole["total"] == 20
    shares = [item["probability"] for item in whole["items"]]
    assert shares == sorted(shares)
    pages = [page.call("gallery", start=start, count=8)["items"] for start in (0, 8, 16)]
    assert [*chain(*pages)] == whole["items"]
    dark = page.call(
        "gallery", count=20, of="unlabelled", order="surest first", **{"class": "dark"}
    )
    assert {item["predicted"] for item in dark["items"]} == {"dark"}
    assert not any(item["label"] for item in dark["items"])
    assert page.call("gallery", count=20, of="labelled")["total"] == 6


def test_doubtful_labels_come_first(page: Browser) -> None:
    ids = page.claim(6)
    label(page, ids[1:])
    wrong = {"dark": "bright", "bright": "dark"}[truth(ids[0])]
    label(page, ids[:1], wrong)
    found = page.call("suspicious", count=6)["items"]
    assert {item["id"] for item in found} == set(ids)
    assert [item["doubt"] for item in found] == sorted((i["doubt"] for i in found), reverse=True)


def test_progress_tells_of_rounds_people_and_batches(page: Browser) -> None:
    label(page, page.claim(6))
    page.claim(1)
    found = page.call("progress")
    assert found["who"] == [{"name": "anna", "count": 6}]
    assert found["batches"][0]["answered"] == 6
    assert found["batches"][0]["audits"] == 1
    assert found["moments"][-1]["estimate"]["audited"] == 1


def test_two_windows_never_hold_the_same_image(page: Browser) -> None:
    mine, other = page.claim(4), page.claim(4, OTHER)
    assert len(mine) == 4
    assert other
    assert not set(mine) & set(other)
    # All are out: the next batch is asked though none of this one has an answer.
    third = page.claim(4, "windowwindow3")
    assert not set(third) & {*mine, *other}
    page.call("release", client=OTHER)
    assert set(other) <= set(page.claim(20))


def test_what_a_dead_window_holds_comes_free(images: Path) -> None:
    now = [0.0]
    session = make_session(None, images)
    desk = Desk(session, 6, clock=lambda: now[0])
    desk.remember(session.ask(6))
    held = [item.id for item in desk.claim("one", 6)]
    now[0] = LEASE - 1
    assert desk.claim("two", 6) == []
    assert desk.hear("one") == held
    now[0] = 2 * LEASE - 2
    assert desk.claim("two", 6) == []
    now[0] = 2 * LEASE
    assert [item.id for item in desk.claim("two", 6)] == held


def test_windows_hold_images_of_the_class_they_ask_for(images: Path) -> None:
    session = make_session(None, images)
    desk = Desk(session, 6)
    session.tell({id: truth(id) for id in session.ask(6)["id"]})
    desk.remember(session.ask(6))
    every = {item.id: item.predicted for item in desk.claim("one", 6)}
    dark = desk.claim("one", 6, "dark")
    assert {item.predicted for item in dark} <= {"dark"}
    assert {item.id for item in desk.claim("two", 6)} == every.keys() - {item.id for item in dark}


def test_another_process_is_seen(page: Browser) -> None:
    (id,) = page.claim(1)
    material = page.server.app  # the server goes on while a second session writes the same journal
    assert material is not None
    other = Session(page.work, pool=_material_of(page), progress=False)  # type: ignore[attr-defined]
    other.tell({id: "bright"}, who="ben")
    state = page.call("state", client=CLIENT)
    assert id not in state["mine"]
    assert state["classes"][1]["count"] == 1


def _material_of(page: Browser) -> object:
    from labelling.page_session import make_material

    names = [f"{number:03d}.png" for number in range(20)]
    return make_material(page.work.parent / "again", names)  # type: ignore[attr-defined]


def test_the_page_is_done_when_nothing_is_left(images: Path) -> None:
    with page_of(make_session(None, images, audit=0.0), batch=20) as browser:
        while ids := browser.claim(20):
            label(browser, ids)
        state = browser.call("state", client=CLIENT)
        assert (state["labelled"], state["done"], state["open"]) == (20, True, 0)
        browser.call("undo", client=CLIENT)
        until(lambda: not browser.call("state", client=CLIENT)["done"])


# Images.


def test_small_pictures_are_kept_by_browsers(page: Browser) -> None:
    status, headers, content = page.get("/image?side=160&id=001.png")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(content)).size == (64, 48)
    same = {"If-None-Match": headers["etag"]}
    assert page.request("GET", "/image?side=160&id=001.png", headers=same)[0] == 304
    assert page.get("/image?side=7&id=001.png")[0] == 400
    status, _, content = page.get("/image?side=160&id=nothing.png")
    assert (status, json.loads(content)["error"]) == (
        404,
        "the image nothing.png is not where it was.",
    )


def odd_images(folder: Path) -> dict[str, Path]:
    """A plain JPEG, one that a camera turned, 16 bits a pixel, a palette with transparency, a torn one."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 255, (90, 120), np.uint8)
    colours = Image.fromarray(np.stack([grey] * 3, -1))
    exif = Image.Exif()
    exif[0x0112] = 6
    colours.save(folder / "0.jpg", quality=95)
    colours.save(folder / "1.jpg", exif=exif, quality=95)
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "2.png")
    Image.fromarray(grey).convert("P").save(folder / "3.png", transparency=0)
    (folder / "4.jpg").write_bytes((folder / "0.jpg").read_bytes()[:900])
    return {path.stem: path for path in folder.iterdir()}


def test_images_look_as_the_classifier_sees_them(tmp_path: Path) -> None:
    from jal.data.decode import to_rgb
    from jal.labelling.pictures import Pictures

    folder = tmp_path / "odd"
    folder.mkdir()
    files = odd_images(folder)
    made = Thumbnails(Pictures({"path": str(folder)}))
    assert made.large("0.jpg").content == files["0"].read_bytes()
    for stem in "0123":
        seen = to_rgb(files[stem])
        large = Image.open(io.BytesIO(made.large(files[stem].name).content))
        if stem == "1":  # which a browser turns, as it says itself
            large = large.transpose(Image.Transpose.ROTATE_270)
        assert np.array_equal(np.asarray(large.convert("RGB")), np.asarray(seen)), stem
        small = Image.open(io.BytesIO(made.small(files[stem].name, 160).content))
        assert small.size == seen.size
        apart = np.abs(np.asarray(small.convert("RGB"), int) - np.asarray(seen, int)).mean()
        assert apart < 12, stem
    with pytest.raises(JalError, match=r"4\.jpg cannot be read"):
        made.small("4.jpg", 160)


def test_small_pictures_in_memory_are_bounded(images: Path) -> None:
    session = make_session(None, images)
    made = Thumbnails(session.pictures, kept=6000)
    for id in session.material.ids:
        made.small(id, 160)
    assert sum(len(shown.content) for shown in made._kept.values()) <= 6000
    assert made.small("000.png", 160) == made.small("000.png", 160)


# The command.


def words(work: Path, images: Path, *more: str) -> list[str]:
    return [
        "label",
        str(work),
        f"--data={images}",
        f"--model={FOLDER / 'dinov2'}",
        "--classes=dark,bright",
        "--config.model.image_size=28",
        "--config.model.dtype=float32",
        "--batch=6",
        "--no_browser",
        *more,
    ]


def address(running: processes.Running) -> str:
    """What a server has printed as its address."""
    running.reaches(lambda: "Ctrl-C" in running.out)
    return next(line for line in running.out.splitlines() if line.startswith("page: "))[6:]


class Printed:
    """A server in another process, as `Browser` needs it."""

    def __init__(self, running: processes.Running) -> None:
        where, _, self.token = address(running).partition("/?token=")
        self.origin, self.port = where, int(where.rpartition(":")[2])


@contextmanager
def served(*command: str) -> Iterator[processes.Running]:
    """The command in a process that does not outlive the test."""
    running = processes.jal(*command)
    try:
        yield running
    finally:
        running.process.kill()


def enter(running: processes.Running) -> Browser:
    browser = Browser(Printed(running))  # type: ignore[arg-type]
    browser.enter()
    return browser


@pytest.mark.slow
def test_a_killed_server_goes_on_and_a_stopped_one_ends_well(images: Path, tmp_path: Path) -> None:
    make_session(None, images)
    work = tmp_path / "work"
    with served(*words(work, images)) as running:
        browser = enter(running)
        said = browser.claim(4)
        label(browser, said)
        assert main(words(work, images)) == 2
        running.sends(signal.SIGKILL)
        assert running.ends() == -signal.SIGKILL
    with served("label", str(work), "--no_browser", "--batch=6") as again:
        browser = enter(again)
        found = browser.call("gallery", of="labelled", count=20)["items"]
        assert sorted(item["id"] for item in found) == sorted(said)
        assert not set(browser.claim(6)) & set(said)
        again.sends(signal.SIGTERM)
        assert "4 labels in" in again.succeeds()
    assert main(["tell", str(work), str(work / "labels.csv")]) == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--batch=0"], "--batch is 0; it must be at least 1."),
        (["--port=70000"], "--port is 70000; it must be from 0 (a free one) to 65535."),
        (["--wrong=1"], "unknown"),
        (["--data="], "say what to label with --data=FOLDER"),
        (["--data=nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_with_the_command_is_one_sentence(
    more: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label", str(tmp_path / "work"), "--data=x", "--model=y", *more]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "work").exists()


def test_a_missing_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr(
        "jal.labelling.label_command.find_spec",
        lambda name: None if name == "starlette" else found(name),
    )
    assert main(["label", str(tmp_path / "work")]) == 2
    told = "jal: jal label needs starlette and uvicorn: pip install 'jal-learn[label]'\n"
    assert capsys.readouterr().err == told


def test_a_port_in_use_is_told(images: Path) -> None:
    from jal.labelling.server import Server

    session = make_session(None, images)
    made = Calls(Desk(session)), Thumbnails(session.pictures)
    first = Server(*made)
    with pytest.raises(JalError, match="give another --port"):
        Server(*made, port=first.port)
    first._socket.close()
