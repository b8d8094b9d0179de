import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.calls import End
from gateway.core.keys import Secret
from gateway.telemetry.logs import Logs, configure
from tests.fakes.records import ATTEMPT, COMPLETED, FACTS, REFUSED

OURS = logging.getLogger("gateway.some.module")
PROVIDER_KEY = "Zk93hQ0aX7-azure-style"
Configure = Callable[[str], tuple[Logs, io.BytesIO]]


@pytest.fixture
def logging_as() -> Iterator[Configure]:
    """Sets logging up, and gives it back whatever happens."""
    open_logs: list[Logs] = []

    def start(format: str) -> tuple[Logs, io.BytesIO]:
        stream = io.BytesIO()
        logs = configure(format, secrets=(Secret(PROVIDER_KEY),), stream=stream)
        open_logs.append(logs)
        return logs, stream

    yield start
    for logs in open_logs:
        logs.stop()


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_call_is_one_line_with_what_matters(logging_as: Configure) -> None:
    logs, stream = logging_as("json")
    logs.calls.call_ended(COMPLETED)
    logs.stop()
    assert lines(stream) == [
        {
            "timestamp": "2026-10-31T08:00:00.262000Z",
            "level": "info",
            "event": "call",
            "id": FACTS.id,
            "path": "/v1/chat/completions",
            "key": "ci",
            "team": "search",
            "model": "fast",
            "target": "openai/gpt-4o-mini",
            "stream": True,
            "end": "completed",
            "status": 200,
            "error": None,
            "attempts": 1,
            "usage": {"input": 200, "cache_read": 800, "output": 100},
            "usage_basis": "provider",
            "cost_usd": "0.001600000",
            "overhead_ms": 0.2,
            "ttft_ms": 151.2,
            "duration_ms": 262.0,
        }
    ]


def test_a_call_with_several_attempts_tells_their_sum_and_unknown_is_null(logging_as: Configure) -> None:
    logs, stream = logging_as("json")
    unpriced = replace(ATTEMPT, index=1, cost_nano=None)
    logs.calls.call_ended(replace(COMPLETED, attempts=(ATTEMPT, unpriced)))
    logs.stop()
    (line,) = lines(stream)
    assert line["attempts"] == 2
    assert line["usage"] == {"input": 400, "cache_read": 1600, "output": 200}
    assert line["cost_usd"] is None


def test_a_refused_call_is_a_warning(logging_as: Configure) -> None:
    logs, stream = logging_as("json")
    logs.calls.call_ended(REFUSED)
    logs.stop()
    (line,) = lines(stream)
    assert (line["level"], line["target"], line["cost_usd"]) == ("warning", None, "0.000000000")


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_secret_reaches_a_line(logging_as: Configure, format: str) -> None:
    """Known fault 79: not by a client's model name, an upstream's error, a header, an exception or another library."""
    logs, stream = logging_as(format)
    leaks = (PROVIDER_KEY, "tk-abcdefgh12345678", "sk-proj-abcdefgh1234", "Bearer eyJhbGciOi.abc")
    for leak in leaks:
        facts = replace(FACTS, model=f"gpt {leak}")
        attempt = replace(ATTEMPT, target=f"openai/{leak}")
        failed = replace(COMPLETED, facts=facts, attempts=(attempt,), end=End.FAILED, error=f"401: bad key {leak}")
        logs.calls.call_ended(failed)
        OURS.warning("asked with %s", {"Authorization": leak})
        logging.getLogger("some.library").warning("request with %s", leak)
        try:
            raise ValueError(f"cannot use {leak}")
        except ValueError:
            OURS.exception("failed")
            logging.getLogger("some.library").exception("failed")
    logs.stop()
    text = stream.getvalue().decode()
    assert text.count("call") >= len(leaks)
    for leak in leaks:
        assert leak not in text
        assert leak.removeprefix("Bearer ") not in text


def test_what_a_caller_says_is_not_in_the_line(logging_as: Configure) -> None:
    logs, stream = logging_as("json")
    attempt = replace(ATTEMPT, raw_usage='{"note": "raw-usage"}')
    facts = replace(FACTS, end_user="alice@example.com", labels={"note": "a-label"})
    logs.calls.call_ended(replace(COMPLETED, facts=facts, attempts=(attempt,)))
    logs.stop()
    text = stream.getvalue().decode()
    assert not any(word in text for word in ("alice", "raw-usage", "a-label"))


def test_a_console_line_cannot_be_forged(logging_as: Configure) -> None:
    logs, stream = logging_as("console")
    facts = replace(FACTS, model="gpt\n2026 [error] forged\x1b[2J")
    logs.calls.call_ended(replace(COMPLETED, facts=facts))
    logs.stop()
    text = stream.getvalue().decode()
    assert text.count("\n") == 1
    assert "\x1b[2J" not in text
    assert "gpt" in text


def test_the_program_and_its_libraries_log_in_the_same_shape(logging_as: Configure) -> None:
    logs, stream = logging_as("json")
    OURS.info("started on %d", 4000)
    OURS.debug("not worth a line")
    logging.getLogger("some.library").warning("slow: %s ms", 12)
    logging.getLogger("some.library").info("not worth a line")
    logs.stop()
    started, slow = lines(stream)
    assert (started["event"], started["level"], started["logger"]) == ("started on 4000", "info", OURS.name)
    assert (slow["event"], slow["level"], slow["logger"]) == ("slow: 12 ms", "warning", "some.library")
    assert started["timestamp"].endswith("Z")
    assert slow["timestamp"].endswith("Z")


def test_a_console_tells_a_call_in_one_line_to_read(logging_as: Configure) -> None:
    logs, stream = logging_as("console")
    logs.calls.call_ended(COMPLETED)
    logs.stop()
    line = stream.getvalue().decode()
    assert line.startswith(f"2026-10-31T08:00:00.262000Z [info] call id={FACTS.id} path=/v1/chat/completions key=ci ")
    assert line.endswith(" cost_usd=0.001600000 overhead_ms=0.2 ttft_ms=151.2 duration_ms=262.0\n")
    assert "error=" not in line, "what is not known is left out"


def test_stopping_gives_logging_back_as_it_was(logging_as: Configure) -> None:
    before = list(logging.root.handlers)
    logs, _ = logging_as("json")
    assert logging.root.handlers != before
    logs.stop()
    assert logging.root.handlers == before


def test_a_traceback_shows_no_local_variables(logging_as: Configure) -> None:
    logs, stream = logging_as("console")
    prompt = "what the user asked"
    try:
        raise ValueError(str(len(prompt)))
    except ValueError:
        OURS.exception("failed")
    logs.stop()
    text = stream.getvalue().decode()
    assert "ValueError: 19" in text
    assert "what the user asked" not in text


def test_half_a_character_does_not_cost_the_line(logging_as: Configure) -> None:
    """JSON can carry a lone surrogate, UTF-8 cannot."""
    logs, stream = logging_as("json")
    logs.calls.call_ended(replace(COMPLETED, facts=replace(FACTS, team="a\ud800b")))
    logs.stop()
    (line,) = lines(stream)
    assert line["team"] == "a\ud800b"
