"""YASGUI for the page of `nightlab endpoint`: fetched at set-up, pinned by hash, served offline.

Nobody else's code is committed here, so `make` asks npm for the published package once and keeps
two of its files as package data. Without npm or a network the plain page is served instead.
Source: npm package @zazuko/yasgui 4.6.2, MIT; its licence lies in flows/web/yasgui.txt.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from flows.errors import ServerError

PACKAGE: Final = "@zazuko/yasgui@4.6.2"
TARBALL_SHA512: Final = (
    "670e3929d3e8004d4a45a028c481dd42a789c6f6951b5a10767b70d21cb492d5"
    "f7e59bbc65c72e38bad708bc11f8653ed313332f0f0c8f0e81912655daf52e43"
)
FILES: Final = {
    "yasgui.min.js": "55034eaac74c55f55fbd1eeed008ae38a79053651cbed2b453f1fcfd895a4b75",
    "yasgui.min.css": "085b94556b97f9928981bdedb6848fd11ad4d8d950e821f0d698c58ca538fc55",
}
"""The files that are served, with their SHA-256."""
STYLE: Final = "'sha256-zCK2EVMoPc04mRF/g5CotUvxbJPWS+8V0b+s9ptqQIk='"
"""What the one style that it adds to the page hashes to, as a Content-Security-Policy says it."""
PLACE: Final = Path(__file__).parent / "web" / "yasgui"
AGAIN: Final = "run `.venv/bin/python -m flows.yasgui`"
FETCH_SECONDS: Final = 60.0  # 0.6 s on a good line; npm alone would try for minutes


def load() -> dict[str, bytes]:
    """Return the files of YASGUI by name, none where they were not fetched.

    Raises:
        ServerError: One of them is not the published one.
    """
    if not all((PLACE / name).is_file() for name in FILES):
        return {}
    found = {name: (PLACE / name).read_bytes() for name in FILES}
    for name, digest in FILES.items():
        check(name, hashlib.sha256(found[name]).hexdigest(), digest)
    return found


def check(name: str, digest: str, wanted: str) -> None:
    """Refuse a file that is not the published one.

    Raises:
        ServerError: Its hash differs.
    """
    if digest != wanted:
        raise ServerError(
            f"{name}: its hash is {digest[:12]}, not {wanted[:12]} as in {PACKAGE}; {AGAIN}"
        )


def fetch() -> None:
    """Bring YASGUI into the package data through npm.

    Raises:
        ServerError: There is no npm, it failed, or what it brought is not the published one.
    """
    program = shutil.which("npm")
    if program is None:
        raise ServerError(f"npm: is not installed; install it, then {AGAIN}")
    with tempfile.TemporaryDirectory() as folder:
        tarball = packed(program, Path(folder))
        check(tarball.name, hashlib.sha512(tarball.read_bytes()).hexdigest(), TARBALL_SHA512)
        PLACE.mkdir(parents=True, exist_ok=True)
        with tarfile.open(tarball) as archive:
            for name, digest in FILES.items():
                member = archive.extractfile(f"package/build/{name}")
                data = member.read() if member else b""
                check(name, hashlib.sha256(data).hexdigest(), digest)
                temporary = PLACE / f"{name}.tmp"
                temporary.write_bytes(data)
                temporary.replace(PLACE / name)


def packed(program: str, folder: Path) -> Path:
    """Let npm download the package; nothing of it is run.

    Raises:
        ServerError: npm failed or took too long.
    """
    words = [program, "pack", PACKAGE, "--ignore-scripts", "--silent", "--no-update-notifier"]
    words += ["--fetch-retries=0", "--fetch-timeout=20000", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, timeout=FETCH_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"npm: {type(error).__name__}; {AGAIN}") from error
    tarballs = list(folder.glob("*.tgz"))
    if done.returncode or len(tarballs) != 1:
        raise ServerError(f"npm: could not bring {PACKAGE}; with a network, {AGAIN}")
    return tarballs[0]


def main() -> None:
    """Fetch YASGUI if it is not there; a failure costs one sentence, never the set-up."""
    with contextlib.suppress(ServerError):  # what is there but is another one is fetched again
        if load():
            return
    try:
        fetch()
    except (ServerError, OSError) as error:
        sys.stderr.write(f"{error} (`nightlab endpoint` has its plain page until then)\n")


if __name__ == "__main__":
    main()
