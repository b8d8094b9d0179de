"""Applications as tests want them: that wait to be told, that do not listen, that begin and never end."""

import asyncio
from typing import Any

from gateway.server.exchange import Application, Receive, Send
from tests.server.talk import answer

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
UNFRAMED: dict[str, Any] = {"type": "http.response.start", "status": 200}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def sending(*messages: dict[str, Any]) -> Application:
    async def application(scope: Any, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return application


class Held:
    """An application that answers when it is told to, and asks for no body unless it is to."""

    def __init__(self, *, asks: bool = False) -> None:
        self.asks = asks
        self.begun: list[str] = []
        self.told: list[Any] = []
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.begun.append(scope["path"])
        if self.asks:
            while (message := await receive()).get("more_body"):
                self.told.append(message)
            self.told.append(message)
            if message["type"] == "http.disconnect":
                return
        await self.go_on.acquire()
        await answer(send, b"ok")


async def half(scope: Any, receive: Receive, send: Send) -> None:
    """Begins an answer, and waits for the request's body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (await receive())["type"] != "http.disconnect":
        pass


async def deaf(scope: Any, receive: Receive, send: Send) -> None:
    """Answers without a look at the body."""
    await answer(send, b"no", 413)
