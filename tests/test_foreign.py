from __future__ import annotations

from pathlib import Path

import pytest
from laboratory import git

from flows import foreign


def test_a_password_in_an_address_is_not_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://me:s3cret@example.org/lab.git"
    git(root, "remote", "add", "origin", address)
    with foreign.opened(root) as found:
        assert found.origin == "https://example.org/lab.git"
    monkeypatch.setattr(foreign, "clone", lambda _, place: git(place, "init", "--bare"))
    with foreign.opened(address) as found:
        assert found.origin == "https://example.org/lab.git"
