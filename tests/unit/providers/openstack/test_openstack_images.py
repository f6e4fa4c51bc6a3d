"""Images are fetched, checked, and read from nowhere else than the operator allows."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base import PermanentError, TransientError
from providers.openstack.images import FOLDER, _content
from specs.values import Value


class _Store(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/image.raw?token=secret":
                self._say(200, b"content")
            case "/moved":
                self.send_response(302)
                self.send_header("Location", "file:///etc/passwd")
                self.end_headers()
            case "/broken":
                self._say(503, b"")
            case _:
                self._say(404, b"")

    def _say(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def store() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def read(url: str, checksum: str = "") -> bytes:
    said: dict[str, Value] = {"url": url, **({"checksum": checksum} if checksum else {})}
    with _content(said, "tour/web", 5) as content:
        content.seek(0)
        return content.read()


def test_content_is_fetched_and_checked(store: str) -> None:
    url = f"{store}/image.raw?token=secret"

    assert read(url, f"sha256:{hashlib.sha256(b'content').hexdigest()}") == b"content"
    assert read(url, hashlib.md5(b"content", usedforsecurity=False).hexdigest()) == b"content"


def test_another_content_is_refused_and_no_token_is_told(store: str) -> None:
    with pytest.raises(PermanentError, match="one of the two is wrong") as caught:
        read(f"{store}/image.raw?token=secret", "sha256:" + "0" * 64)

    assert "secret" not in str(caught.value)


def test_errors_of_the_store_have_a_class(store: str) -> None:
    with pytest.raises(PermanentError, match="404"):
        read(f"{store}/nothing")
    with pytest.raises(TransientError, match="503"):
        read(f"{store}/broken")
    with pytest.raises(TransientError, match="does not answer"):
        read("http://127.0.0.1:9/image.raw")
    with pytest.raises(PermanentError, match="Redirection"):
        read(f"{store}/moved")


def test_files_are_read_from_the_operators_folder_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.raw").write_bytes(b"image")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "secret")
    monkeypatch.delenv(FOLDER, raising=False)
    with pytest.raises(PermanentError, match=FOLDER):
        read("file:a.raw")
    monkeypatch.setenv(FOLDER, str(tmp_path / "inside"))

    assert read("file:a.raw") == b"image"
    assert read("file:///a.raw") == b"image"
    for outside in ("file:../secret", "file:///../secret", "file:link", "file:///etc/passwd"):
        with pytest.raises(PermanentError, match="is no file in the folder"):
            read(outside)


def test_a_checksum_nobody_knows_is_refused(store: str) -> None:
    with pytest.raises(PermanentError, match="not understood"):
        read(f"{store}/image.raw?token=secret", "crc:12")
