import os
import threading
from pathlib import Path

import pytest

from gateway.control.signin import VARIABLE, admin_token, token_place
from gateway.core.errors import Fault, Kind
from gateway.core.keys import PREFIX, Secret


def test_the_variable_wins_and_makes_no_file(tmp_path: Path) -> None:
    environ = {VARIABLE: " from-the-environment "}
    assert admin_token(tmp_path, environ) == Secret("from-the-environment")
    assert list(tmp_path.iterdir()) == []
    assert token_place(tmp_path, environ) == f"the variable {VARIABLE}"


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}, {VARIABLE: "  "}])
def test_a_token_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / "data"
    before = os.umask(0)
    try:
        token = admin_token(folder, environ)
    finally:
        os.umask(before)
    path = folder / "admin-token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() == token.reveal()
    assert len(token.reveal()) > 40
    assert not token.reveal().startswith(PREFIX)
    assert admin_token(folder, environ) == token
    assert [entry.name for entry in folder.iterdir()] == ["admin-token"]
    assert token_place(folder, environ) == str(path)
    assert token.reveal() not in token_place(folder, environ)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    admin_token(tmp_path, {})
    (tmp_path / "admin-token").chmod(mode)
    with pytest.raises(Fault) as caught:
        admin_token(tmp_path, {})
    assert caught.value.kind is Kind.FORBIDDEN
    assert "chmod 600" in caught.value.sentence


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    path.touch(0o600)
    with pytest.raises(Fault) as caught:
        admin_token(tmp_path, {})
    assert caught.value.kind is Kind.INVALID
    assert str(path) in caught.value.message


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fault) as caught:
        admin_token(tmp_path / "file", {})
    assert VARIABLE in caught.value.sentence


def test_many_that_start_at_once_agree_on_one_token(tmp_path: Path) -> None:
    tokens: list[Secret] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        tokens.append(admin_token(tmp_path, {}))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert len({token.reveal() for token in tokens}) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["admin-token"]
