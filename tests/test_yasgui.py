from __future__ import annotations

import hashlib
import io
import logging
import re
import stat
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from histories import records
from served import post, running, send

from flows import yasgui
from flows.endpoint import Server, build_endpoint
from flows.endpoint_workers import Workers
from flows.errors import ServerError
from kg.memory import Memory

FAKE = {"yasgui.min.js": b"/* fake */", "yasgui.min.css": b".fake {}"}
WEB = Path(yasgui.__file__).parent / "web"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    made = Memory(tmp_path_factory.mktemp("yasgui") / "graph")
    made.add_all(records(size=3))
    return made


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where YASGUI would be, empty; the fake one is the published one."""
    found = tmp_path / "yasgui"
    monkeypatch.setattr(yasgui, "PLACE", found)
    monkeypatch.setattr(
        yasgui, "FILES", {n: hashlib.sha256(d).hexdigest() for n, d in FAKE.items()}
    )
    return found


def write(place: Path, files: Mapping[str, bytes] = FAKE) -> None:
    """Put the files where they are looked for."""
    place.mkdir(exist_ok=True)
    for name, data in files.items():
        (place / name).write_bytes(data)


@contextmanager
def served(memory: Memory, token: str | None = None) -> Iterator[Server]:
    """Serve a memory with one worker."""
    workers = Workers(memory.directory, size=1)
    with running(build_endpoint(memory.directory, token=token, workers=workers)) as server:
        yield server


# --- what is served


def test_the_published_yasgui_is_served_around_our_own_page(memory: Memory, place: Path) -> None:
    write(place)
    with served(memory) as server:
        page = send(server, "GET", "/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        parts = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
        assert "yasgui.min.js" in parts
        for part in parts[1:]:
            answer = send(server, "GET", f"/{part}")
            assert answer.status == 200
            assert answer.body == (FAKE.get(part) or (WEB / part).read_bytes())
            kind = {"js": "javascript", "css": "css", "txt": "plain"}[part.rpartition(".")[2]]
            assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert post(server, "ASK {}").value == {"head": {}, "boolean": True}
        assert "lab:inCampaign" in send(server, "GET", "/examples.json").value["terms"]


def test_the_page_may_load_scripts_of_this_server_and_one_known_style(
    memory: Memory, place: Path
) -> None:
    write(place)
    with served(memory) as server:
        policy = send(server, "GET", "/").headers["content-security-policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["connect-src"] == "'self'"
        assert rules["style-src"] == f"'self' {yasgui.STYLE}"
        assert rules["frame-ancestors"] == rules["form-action"] == rules["base-uri"] == "'none'"
        assert "unsafe" not in policy
        for path in ("/yasgui.min.js", "/sparql", "/nothing"):
            assert yasgui.STYLE not in send(server, "GET", path).headers["content-security-policy"]


@pytest.mark.parametrize("changed", list(FAKE))
def test_another_yasgui_is_never_served(
    memory: Memory, place: Path, changed: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(place, {**FAKE, changed: b"steal()"})
    with pytest.raises(ServerError, match=f"{changed}: its hash is "):
        yasgui.load()
    with caplog.at_level(logging.WARNING), served(memory) as server:
        assert b"endpoint.js" in send(server, "GET", "/").body
        assert send(server, "GET", "/yasgui.min.js").status == 404
    assert f"page=plain reason={changed}: its hash is " in caplog.text


@pytest.mark.parametrize("files", [{}, {"yasgui.min.js": FAKE["yasgui.min.js"]}])
def test_without_yasgui_the_plain_page_is_served(
    memory: Memory, place: Path, files: dict[str, bytes]
) -> None:
    write(place, files)
    with served(memory) as server:
        page = send(server, "GET", "/")
        parts = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
        assert parts == ["data:,", "endpoint.css", "common.js", "endpoint.js"]
        assert {send(server, "GET", f"/{part}").status for part in parts[1:]} == {200}
        assert "sha256" not in page.headers["content-security-policy"]
        assert send(server, "GET", "/yasgui.js").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/yasgui/yasgui.min.js",
        "/yasgui.min.js/../../errors.py",
        "/../yasgui.py",
        "/%2e%2e/yasgui.py",
        "/yasgui.min.js%00.txt",
        "/yasgui.min.js.map",
        "//etc/passwd",
        "/web/yasgui.html",
    ],
)
def test_no_path_leads_to_another_file(memory: Memory, place: Path, path: str) -> None:
    write(place)
    with served(memory) as server:
        assert send(server, "GET", path).status == 404


def test_the_page_is_public_and_its_data_is_not(memory: Memory, place: Path) -> None:
    write(place)
    with served(memory, token="s3cret") as server:
        for path in ("/", "/yasgui.min.js", "/yasgui.js", "/yasgui.txt"):
            assert send(server, "GET", path).status == 200
        for path in ("/examples.json", "/sparql?query=ASK{}"):
            assert send(server, "GET", path).status == 401
        assert send(server, "GET", "/", headers={"Host": "evil.example"}).status == 421
        foreign = {"Origin": "http://evil.example"}
        assert send(server, "GET", "/yasgui.min.js", headers=foreign).status == 403


@pytest.mark.parametrize(
    "name", ["common.js", "endpoint.js", "endpoint.css", "yasgui.js", "yasgui.css"]
)
def test_our_part_of_the_pages_asks_nobody_else_and_makes_no_markup(name: str) -> None:
    text = (WEB / name).read_text()
    assert "://" not in text.replace("http://www.w3.org/2001/XMLSchema#", "")
    assert not re.search("innerHTML|insertAdjacent|document.write|eval|setAttribute", text)


def test_what_asks_the_internet_in_yasgui_is_turned_off() -> None:
    text = (WEB / "yasgui.js").read_text()
    assert 'defaults.autocompleters = ["variables", "prefixes"]' in text  # the others ask a service
    assert "populateFromUrl: false" in text  # else a link runs a query
    assert "headers: authorization," in text  # a function: nothing of it is kept in the browser


def test_the_licence_names_the_version_that_is_served() -> None:
    notice = (WEB / "yasgui.txt").read_text()
    assert yasgui.PACKAGE.rpartition("@")[2] in notice.splitlines()[0]
    assert "Permission is hereby granted, free of charge" in notice


# --- how it gets there


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a package as npm packs it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/build/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called npm that runs the Python code beside it; its path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\nexec(open({str(folder / 'code.py')!r}).read())\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return program


def bringing(npm: Path, tarball: bytes) -> None:
    """Let npm bring a tarball."""
    (npm.parent / "there.bin").write_bytes(tarball)
    code = "import sys, shutil, pathlib\nshutil.copy(pathlib.Path(__file__).parent / 'there.bin',"
    code += " pathlib.Path(sys.argv[-1]) / 'y.tgz')\n"
    (npm.parent / "code.py").write_text(code)


def test_what_npm_brings_is_kept_once(
    npm: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tarball = packed({**FAKE, "other.js": b"x"})
    monkeypatch.setattr(yasgui, "TARBALL_SHA512", hashlib.sha512(tarball).hexdigest())
    bringing(npm, tarball)
    yasgui.main()
    assert (yasgui.load(), capsys.readouterr().err) == (FAKE, "")
    assert sorted(path.name for path in place.iterdir()) == sorted(FAKE)
    (npm.parent / "code.py").write_text("raise SystemExit(1)")
    yasgui.main()  # it is there, so nobody is asked
    assert capsys.readouterr().err == ""
    (place / "yasgui.min.js").write_bytes(b"changed")
    yasgui.main()
    assert "npm: could not bring @zazuko/yasgui" in capsys.readouterr().err
    bringing(npm, tarball)
    yasgui.main()  # what is not the published one is fetched again
    assert yasgui.load() == FAKE


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise SystemExit(1)", "npm: could not bring"),
        ("pass", "npm: could not bring"),
        ("import time; time.sleep(60)", "npm: TimeoutExpired"),
        (None, "npm: is not installed"),
    ],
)
def test_set_up_goes_on_without_npm_and_says_so_in_one_sentence(
    npm: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str | None,
    told: str,
) -> None:
    monkeypatch.setattr(yasgui, "FETCH_SECONDS", 0.5)
    if code is None:
        npm.unlink()
    else:
        (npm.parent / "code.py").write_text(code)
    yasgui.main()
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith(told)
    assert found.err.endswith("(`nightlab endpoint` has its plain page until then)\n")
    assert found.err.count("\n") == 1
    assert not place.exists()


def test_a_tarball_that_is_not_the_published_one_leaves_nothing(
    npm: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bringing(npm, packed(FAKE))  # the right files, but not the pinned archive
    yasgui.main()
    assert "y.tgz: its hash is " in capsys.readouterr().err
    assert not place.exists()


def test_a_place_that_cannot_be_written_does_not_stop_the_set_up(
    npm: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tarball = packed(FAKE)
    monkeypatch.setattr(yasgui, "TARBALL_SHA512", hashlib.sha512(tarball).hexdigest())
    bringing(npm, tarball)
    place.write_text("a file where the directory should be")
    yasgui.main()
    assert "has its plain page until then" in capsys.readouterr().err
