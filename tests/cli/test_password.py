"""The password's file: its first line, as bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocpp_proxy.cli.password import read_password
from ocpp_proxy.core.errors import BadInput


@pytest.mark.parametrize(("content", "password"), [
    (b"secret", b"secret"),
    (b"secret\nand more\n", b"secret"),
    (b"secret\r\n", b"secret"),
    (b" sec ret \n", b" sec ret "),
    (b"\xef\xbb\xbfsecret\n", b"secret"),
    (b"\xff\x00\xfe\n", b"\xff\x00\xfe"),
])
def test_the_first_line(tmp_path: Path, content: bytes, password: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    assert read_password(file) == password


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nsecret"])
def test_no_password(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(BadInput, match="expected the password on the first line"):
        read_password(file)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_password(tmp_path / "password")
    with pytest.raises(BadInput, match="cannot be read"):
        read_password(tmp_path)
