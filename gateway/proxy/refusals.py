"""From a kind of error to the answer that an OpenAI client understands (contract §4), exhaustively."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.errors import Fault, Kind
from gateway.wire import openai


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, OpenAI's `type` and `code`, and whether an SDK should try again."""

    status: int
    type: str
    code: str
    retry: bool


_BAD = "invalid_request_error"
_SERVER = "server_error"

REFUSALS: Mapping[Kind, Refusal] = {
    Kind.INVALID: Refusal(400, _BAD, "invalid_request", False),
    Kind.TOO_LARGE: Refusal(413, _BAD, "request_too_large", False),
    Kind.BAD_KEY: Refusal(401, _BAD, "invalid_api_key", False),
    Kind.MODEL_NOT_ALLOWED: Refusal(403, _BAD, "model_not_allowed", False),
    Kind.MODEL_UNKNOWN: Refusal(404, _BAD, "model_not_found", False),
    Kind.PRICE_UNKNOWN: Refusal(403, _BAD, "price_unknown", False),
    Kind.BUDGET_SPENT: Refusal(429, "insufficient_quota", "insufficient_quota", False),
    Kind.RATE: Refusal(429, "rate_limit_error", "rate_limit_exceeded", True),
    Kind.MAX_COST: Refusal(400, _BAD, "max_cost_exceeded", False),
    Kind.UNKNOWN_URL: Refusal(404, _BAD, "unknown_url", False),
    Kind.METHOD_NOT_ALLOWED: Refusal(405, _BAD, "method_not_allowed", False),
    Kind.UNSUPPORTED: Refusal(501, _BAD, "not_in_this_version", False),
    Kind.LOOP: Refusal(508, _BAD, "loop_detected", False),
    Kind.UPSTREAM: Refusal(502, "api_error", "upstream_error", True),
    Kind.UPSTREAM_UNCERTAIN: Refusal(502, "api_error", "upstream_error", False),
    Kind.TIMEOUT: Refusal(504, "api_error", "upstream_timeout", False),
    Kind.UNAVAILABLE: Refusal(503, _SERVER, "unavailable", True),
    Kind.NOT_FOUND: Refusal(404, _BAD, "not_found", False),
    Kind.CONFLICT: Refusal(409, _BAD, "conflict", False),
    Kind.FORBIDDEN: Refusal(403, _BAD, "forbidden", False),
    Kind.INTERNAL: Refusal(500, _SERVER, "internal", False),
}


def refusal_of(fault: Fault) -> Refusal:
    return REFUSALS[fault.kind]


def error_of(fault: Fault) -> str:
    """What the row keeps: the code, then what happened."""
    return f"{refusal_of(fault).code}: {fault.message}"


def body_of(fault: Fault) -> bytes:
    """The error object that the client gets."""
    refusal = refusal_of(fault)
    return openai.envelope(fault.sentence, refusal.type, refusal.code, fault.param)


def event_of(fault: Fault) -> bytes:
    """The same in the middle of a stream."""
    refusal = refusal_of(fault)
    return openai.error_event(fault.sentence, refusal.type, refusal.code)


def headers_of(fault: Fault) -> list[tuple[str, str]]:
    """`x-should-retry` and `retry-after`, which official SDKs obey."""
    fields = [("x-should-retry", "true" if refusal_of(fault).retry else "false")]
    if fault.retry_after is not None:
        fields.append(("retry-after", f"{fault.retry_after:g}"))
    return fields
