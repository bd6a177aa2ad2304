"""The page attacked: who has no token, other names and sites, paths, names that are code, floods."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from labelling.page_session import CLIENT, Browser, make_session, page_of

NASTY = (
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "quote'\"`.png",
    "a%2f..%2fb.png",
    "100%.png",
    "a?b#c&d=e.png",
    "sp ace+plus.png",
    "Zoë ✓.png",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "secret.png").write_bytes(b"secret")
    session = make_session(folder / "work", folder / "images", NASTY, audit=0.0)
    with page_of(session, batch=8) as browser:
        browser.claim(1)
        yield browser


def outsider(page: Browser) -> Browser:
    return Browser(page.server)


EVERYTHING = [
    ("GET", "/"),
    ("GET", "/page/page.js"),
    ("GET", "/image?id=100%25.png&side=160"),
    ("POST", "/api/state"),
    ("POST", "/api/answer"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
@pytest.mark.parametrize(
    "cookie", ["", "jal=1", "wrong", "jal-000000000000=x", "\xff=;;", "a" * 9000]
)
def test_nothing_is_told_without_the_token(
    page: Browser, method: str, path: str, cookie: str
) -> None:
    if cookie == "wrong":
        cookie = page.cookie[:-1] + ("a" if page.cookie[-1] != "a" else "b")
    body = b"{}" if method == "POST" else None
    status, _, content = outsider(page).request(method, path, body, {"Cookie": cookie})
    assert status == 403
    assert b"jal label printed" in content


@pytest.mark.parametrize("token", ["", "x", "%ff", "a" * 43, "%00", "é".encode().hex()])
def test_a_wrong_token_does_not_enter(page: Browser, token: str) -> None:
    status, headers, _ = page.get(f"/?token={token}")
    assert status == 403
    assert "set-cookie" not in headers


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(page: Browser) -> None:
    status, headers, _ = outsider(page).get(f"/?token={page.server.token}")
    assert (status, headers["location"]) == (303, "/")
    assert {"httponly", "samesite=strict", "path=/"} <= {
        part.strip().lower() for part in headers["set-cookie"].split(";")
    }
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_a_link_to_the_entry_may_be_anywhere(page: Browser) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    status, answered, content = outsider(page).request(
        "GET", f"/?token={page.server.token}", headers=headers
    )
    assert (status, "set-cookie" in answered) == (200, True)
    assert b'content="0;url=/"' in content
    assert page.request("GET", "/", headers=headers)[0] == 403


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "192.168.1.1"),
        *("[::1", "a:b:c", "@127.0.0.1@evil"),
    ],
)
def test_another_host_is_refused(page: Browser, host: str) -> None:
    for path in ("/", f"/?token={page.server.token}", "/image?id=100%25.png"):
        status, headers, _ = page.request("GET", path, headers={"Host": host})
        assert status == 421
        assert "set-cookie" not in headers


def test_a_request_without_a_host_is_refused(page: Browser) -> None:
    with socket.create_connection(("127.0.0.1", page.server.port)) as link:
        link.sendall(f"GET / HTTP/1.0\r\nCookie: {page.cookie}\r\n\r\n".encode())
        assert link.recv(100).split()[1] in (b"400", b"421")


def test_own_names_are_known_at_any_port(page: Browser) -> None:
    for host in ("localhost", "127.0.0.1:1", "[::1]:9", "LOCALHOST:80"):
        assert page.request("GET", "/", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
    ],
)
def test_other_sites_can_send_nothing(page: Browser, headers: dict[str, str]) -> None:
    before = page.call("state", client=CLIENT)["version"]
    body = {"client": CLIENT, "kind": "label", "ids": [NASTY[0]], "class": "dark"}
    status, answer = page.try_call("answer", body, **headers)
    assert status in (403, 415)
    assert answer["error"]
    assert page.call("state", client=CLIENT)["version"] == before


def test_other_sites_show_no_image(page: Browser) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert page.request("GET", "/image?id=100%25.png", headers=headers)[0] == 403
    _, answered, _ = page.get("/image?id=100%25.png")
    assert answered["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/image?id=../secret.png",
        "/image?id=..%2Fsecret.png",
        "/image?id=..%252Fsecret.png",
        "/image?id=/etc/passwd",
        "/image?id=file:///etc/passwd",
        "/image?id=..%5Csecret.png&side=160",
        "/image?id=100%25.png%00.png",
        "/image?id=",
        "/image",
        "/page/../server.py",
        "/page/..%2Fserver.py",
        "/page/%2e%2e%2fserver.py",
        "/page//etc/passwd",
        "/page/",
        "/../../etc/passwd",
        "/image/../../../etc/passwd",
    ],
)
def test_only_images_of_the_pool_and_files_of_the_page_are_served(page: Browser, path: str) -> None:
    status, _, content = page.get(path)
    assert status in (400, 404)
    assert not any(word in content for word in (b"secret\n", b"root:", b"import "))
    assert content != b"secret"


@pytest.mark.parametrize("name", NASTY)
def test_names_that_are_code_are_names(page: Browser, name: str) -> None:
    from urllib.parse import quote

    status, headers, content = page.get(f"/image?side=160&id={quote(name, safe='')}")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert headers["x-content-type-options"] == "nosniff"
    assert content.startswith(b"\xff\xd8\xff")
    page.call("answer", client=CLIENT, kind="label", ids=[name], **{"class": "dark"})
    found = page.call("gallery", of="labelled", count=20)["items"]
    assert name in [item["id"] for item in found]
    page.call("undo", client=CLIENT)


def test_classes_that_are_code_are_names(page: Browser) -> None:
    for name in ("<script>alert(2)</script>", "\"'`&lt;", "__proto__", "constructor"):
        state = page.call("add_class", client=CLIENT, name=name)["state"]
        assert state["classes"][-1]["name"] == name
    status, answer = page.try_call("add_class", {"client": CLIENT, "name": "two\nlines"})
    assert (status, list(answer)) == (400, ["error"])


def test_every_answer_has_the_policy(page: Browser) -> None:
    answers = [
        page.get("/"),
        page.get("/page/page.js"),
        page.get("/nothing"),
        outsider(page).get("/"),
    ]
    answers.append(page.request("POST", "/api/state", b"{"))
    answers.append(page.request("PUT", "/"))
    for _, headers, _ in answers:
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in headers
        assert headers["x-content-type-options"] == "nosniff"


def test_a_megabyte_is_too_much(page: Browser) -> None:
    body = json.dumps({"client": CLIENT, "name": "x" * 2**20}).encode()
    status, _, content = page.request("POST", "/api/add_class", body)
    assert status == 413
    assert b"64 kB" in content


def test_a_megabyte_of_unknown_length_is_too_much(page: Browser) -> None:
    with socket.create_connection(("127.0.0.1", page.server.port)) as link:
        head = (
            f"POST /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"
            f"Cookie: {page.cookie}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        link.sendall(
            head.encode() + b"10000\r\n" + b"x" * 65536 + b"\r\n" + b"10\r\n" + b"x" * 16 + b"\r\n"
        )
        assert link.recv(100).split()[1] == b"413"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("state", b""),
        ("state", b"{"),
        ("state", b"[" * 60_000),
        ("state", b"[]"),
        ("state", b"null"),
        ("state", b"\xff\xfe"),
        ("state", b"{}"),
        ("state", b'{"client": "short"}'),
        ("state", b'{"client": "../../etc/passwd"}'),
        ("state", b'{"client": 12345678}'),
        ("state", b'{"client": "windowwindow1", "more": 1}'),
        ("claim", b'{"client": "windowwindow1", "count": 0}'),
        ("claim", b'{"client": "windowwindow1", "count": 1e9}'),
        ("claim", b'{"client": "windowwindow1", "count": true}'),
        ("claim", b'{"client": "windowwindow1", "count": NaN}'),
        ("answer", b'{"client": "windowwindow1", "kind": "delete", "ids": ["100%.png"]}'),
        ("answer", b'{"client": "windowwindow1", "kind": "skip", "ids": []}'),
        ("answer", b'{"client": "windowwindow1", "kind": "skip", "ids": "100%.png"}'),
        ("answer", b'{"client": "windowwindow1", "kind": "skip", "ids": [0]}'),
        ("answer", b'{"client": "windowwindow1", "kind": "skip", "ids": ["../secret.png"]}'),
        (
            "answer",
            b'{"client": "windowwindow1", "kind": "label", "ids": ["100%.png"], "class": "nope"}',
        ),
        ("answer", b'{"client": "windowwindow1", "kind": "label", "ids": ["100%.png"]}'),
        (
            "answer",
            b'{"client": "windowwindow1", "kind": "skip", "ids": ["100%.png"], "seconds": -1}',
        ),
        (
            "answer",
            b'{"client": "windowwindow1", "kind": "skip", "ids": ["100%.png"], "seconds": Infinity}',
        ),
        (
            "answer",
            b'{"client": "windowwindow1", "kind": "skip", "ids": ["100%.png"], "who": "two\\nlines"}',
        ),
        ("gallery", b'{"count": 501}'),
        ("gallery", b'{"count": 5, "start": -1}'),
        ("gallery", b'{"count": 5, "of": "everything"}'),
        ("gallery", b'{"count": 5, "class": "nope"}'),
        ("take_back", b'{"client": "windowwindow1", "ids": ["nope"]}'),
        ("add_class", b'{"client": "windowwindow1", "name": ""}'),
        ("rename_class", b'{"client": "windowwindow1", "name": "nope", "to": "x"}'),
        ("__class__", b"{}"),
        ("nothing", b"{}"),
    ],
)
def test_bad_calls_are_refused_in_words_and_change_nothing(
    page: Browser, name: str, body: bytes
) -> None:
    before = page.call("state", client=CLIENT)["version"]
    status, _, content = page.request("POST", f"/api/{name}", body)
    assert status == 400
    answer = json.loads(content)
    assert list(answer) == ["error"]
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 700
    assert page.call("state", client=CLIENT)["version"] == before


def test_slow_clients_hold_no_one_up(page: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jal.labelling.server._PATIENCE", 0.3)
    links = [socket.create_connection(("127.0.0.1", page.server.port)) for _ in range(60)]
    head = (
        f"POST /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"
        f"Cookie: {page.cookie}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{{"
    )
    try:
        for link in links[:30]:
            link.sendall(b"GET / HTTP/1.1\r\nHo")
        for link in links[30:]:
            link.sendall(head.encode())
        assert page.call("state", client=CLIENT)["size"] == len(NASTY)
        assert page.get("/image?side=160&id=100%25.png")[0] == 200
        for link in links[30:]:
            link.settimeout(60)
            assert link.recv(100).split()[1] == b"408"
    finally:
        for link in links:
            link.close()


def test_the_server_is_not_imported_with_jal() -> None:
    code = (
        "import sys, jal, jal.cli; print({'starlette', 'uvicorn', 'anywidget'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_page_builds_nothing_from_markup() -> None:
    from jal.labelling.page_files import FILES

    for name, content in FILES.items():
        for word in (
            b"innerHTML",
            b"outerHTML",
            b"insertAdjacent",
            b"document.write",
            b"eval(",
            b"http:",
            b"https:",
        ):
            allowed = name == "icon.svg" or b"www.w3.org/2000/svg" in content.replace(
                b"https:", b""
            )
            assert word not in content or (word == b"http:" and allowed), (name, word)
