"""The first minutes of a stranger with the installed command: help, a server, a call, its row, the demo.

    smoke.py PATH/TO/tollkeeper

Needs nothing but the standard library, so that it runs in an environment that holds the gateway alone.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 60.0
"""Seconds for anything to happen on a busy machine."""

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Toll paid."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


class Stub(BaseHTTPRequestHandler):
    """A provider with one answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._send(ANSWER)

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]})

    def _send(self, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def ask(url: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, str], Any]:
    """Status, headers in lower case and JSON body (or text) of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read().decode()
        headers = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status, headers, json.loads(text) if "json" in headers.get("content-type", "") else text


def expect(what: str, holds: bool, seen: object) -> None:
    if not holds:
        sys.exit(f"smoke: {what}: {seen!r}")
    print(f"  {what}")


def ready(url: str, server: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError):  # not listening yet
            if ask(url)[0] == 200:
                return True
        time.sleep(0.1)
    return False


@contextmanager
def serving(command: str, port: int, environment: dict[str, str]) -> Iterator[None]:
    """A server that is ready; what it said is shown only if something went wrong."""
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen([command, "serve", "--port", str(port)], env=environment, stdout=said, stderr=said)
        try:
            expect("/readyz answers 200", ready(f"http://127.0.0.1:{port}/readyz", server), server.poll())
            yield
            server.terminate()
            expect("the server ends cleanly on SIGTERM", server.wait(PATIENCE) == 0, server.returncode)
        except BaseException:
            said.seek(0)
            print(said.read().decode()[-4000:], file=sys.stderr)
            raise
        finally:
            server.kill()
            server.wait()


def run(command: str, *arguments: str, environment: dict[str, str]) -> str:
    done = subprocess.run([command, *arguments], env=environment, capture_output=True, text=True, timeout=300)
    expect(f"tollkeeper {' '.join(arguments)}", done.returncode == 0, done.stdout + done.stderr)
    return done.stdout


def check_server(command: str, port: int, environment: dict[str, str]) -> None:
    base = f"http://127.0.0.1:{port}"
    status, _, _ = ask(f"{base}/healthz")
    expect("/healthz answers 200", status == 200, status)

    status, _, body = ask(f"{base}/v1/chat/completions", {"model": "no-such-model", "messages": []})
    expect("an unknown model is 404", status == 404, (status, body))
    expect("and says model_not_found", body["error"]["code"] == "model_not_found", body)

    question = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "May I pass?"}]}
    status, headers, body = ask(f"{base}/v1/chat/completions", question)
    expect("a keyless call on loopback passes", status == 200, (status, body))
    expect("its answer is the provider's, unchanged", body == ANSWER, body)
    call = headers.get("x-tollkeeper-call-id", "")
    expect("it has a call id", bool(call), headers)

    deadline = time.monotonic() + PATIENCE
    while call not in (listed := run(command, "calls", "--json", environment=environment)):
        if time.monotonic() > deadline:
            sys.exit(f"smoke: the call never showed in `tollkeeper calls`: {listed}")
        time.sleep(0.2)


def main() -> None:
    command = sys.argv[1]
    stub = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=stub.serve_forever, daemon=True).start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": data,
            "TOLLKEEPER_SERVER_DATA": data,
            "OPENAI_API_KEY": "sk-nothing",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{stub.server_port}/v1",
        }
        run(command, "--help", environment=environment)
        run(command, "--version", environment=environment)
        with serving(command, port, environment):
            check_server(command, port, environment)
        shown = run(command, "demo", "--seconds", "3", environment=environment)
        expect("the demo says that it is simulated", "simulated" in shown.lower(), shown)
    stub.shutdown()


if __name__ == "__main__":
    main()
