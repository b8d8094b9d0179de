"""A client on a raw connection: it sends what it is told and reads answers off the line, one after the other."""

import json
import socket
from typing import Any

from tests.e2e.gateway import Served

MIB = 1024 * 1024


def body_for(model: str, **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **more}).encode()


def head(*fields: str, method: str = "POST", path: str = "/v1/chat/completions") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "content-type: application/json", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def post(body: bytes, *fields: str) -> bytes:
    return head(f"content-length: {len(body)}", *fields) + body


class Answers:
    """Reads answers off a raw connection, one after the other."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._left = b""

    def head(self) -> tuple[int, dict[str, str]]:
        raw = self._until(b"\r\n\r\n").decode("latin-1")
        first, *rest = raw.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        return int(first.split(" ")[1]), fields

    def whole(self) -> tuple[int, dict[str, str], bytes]:
        status, fields = self.head()
        return status, fields, self.exactly(int(fields.get("content-length", "0")))

    def piece(self) -> bytes:
        """One chunk of a chunked body."""
        size = int(self._until(b"\r\n"), 16)
        return self.exactly(size + 2)[:-2]

    def exactly(self, size: int) -> bytes:
        while len(self._left) < size:
            self._more()
        data, self._left = self._left[:size], self._left[size:]
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._more()
        data, _, self._left = self._left.partition(mark)
        return data

    def _more(self) -> None:
        data = self._line.recv(1 << 16)
        assert data, f"the gateway closed the line after {self._left[:500]!r}"
        self._left += data


def exchange(gateway: Served, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    with gateway.connect() as line:
        line.sendall(raw)
        return Answers(line).whole()


def code(body: bytes) -> str:
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["code"])
