"""Plan → the first upstream that answers. The only place that tries again (known faults 40, 41).

One attempt budget per call. What may have been billed is not repeated unless the settings say so.
"""

import orjson

from gateway.core.calls import End
from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.core.routing import Plan, Retries, Target
from gateway.core.value import value
from gateway.ports import Headers, Upstream, UpstreamAnswer, UpstreamRequest
from gateway.proxy.call import Answered, Call, Ticket
from gateway.proxy.headers import upstream_fields, value_of
from gateway.proxy.hold import Hold
from gateway.proxy.refusals import error_of
from gateway.proxy.settle import Outcome, Settle
from gateway.wire.openai import Endpoint, Lowered, error_text, upstream_body

MAX_ERROR_BODY = 1024 * 1024
# Another target may do better. What is wrong with the request itself (400, 413, 422 …) is the same everywhere.
_NEXT_TARGET = frozenset((401, 402, 403, 404, 408, 409, 425, 429))


@value(frozen=True)
class Refused:
    """The last upstream's own refusal, whole: status, headers and body pass to the client as they are."""

    target: Target
    status: int
    headers: Headers
    body: bytes
    error: str
    connect_ms: float | None


class Forward:
    """Step five."""

    def __init__(self, upstream: Upstream, hold: Hold, settle: Settle, retries: Retries) -> None:
        self._upstream = upstream
        self._hold = hold
        self._settle = settle
        self._retries = retries

    async def __call__(self, call: Call, plan: Plan, ticket: Ticket) -> Answered | Refused:
        """Raises `Fault` if no target gave any answer."""
        fields = upstream_fields(call.arrival.fields)
        targets = plan.targets[: self._retries.attempts]
        last: Refused | UpstreamFault | None = None
        for target in targets:
            try:
                if self._hold.needs_money(ticket, target):
                    await self._hold.money(ticket, target)
                self._hold.attempt(ticket, target)
            except Fault:
                if last is None:
                    raise
                break  # no money for another one: the last failure is the answer
            answered = await self._try(call, target, fields, ticket)
            if isinstance(answered, Answered):
                return answered
            last = answered
            if not self._next(answered):
                break
        if isinstance(last, Refused):
            return last
        raise last or Fault(Kind.UPSTREAM, "there is no target to ask")

    def _next(self, failed: Refused | UpstreamFault) -> bool:
        """Whether the next target may be asked after this failure."""
        if isinstance(failed, Refused):
            return failed.status >= 500 or failed.status in _NEXT_TARGET
        return self._retries.retry_uncertain or not failed.uncertain

    async def _try(
        self, call: Call, target: Target, fields: Headers, ticket: Ticket
    ) -> Answered | Refused | UpstreamFault:
        asked, endpoint = call.asked, call.arrival.endpoint
        asks = asked.stream and not target.provider.quirks.refuses_stream_options
        asks = asks and endpoint is not Endpoint.EMBEDDINGS
        lowered = None if ticket.lowered is None else Lowered(ticket.lowered, _limit_field(target, endpoint))
        body = upstream_body(call.body, asked, target.model, asks, lowered)
        request = UpstreamRequest(target, endpoint, fields, body, asked.stream, call.client_key)
        answer: UpstreamAnswer | None = None
        try:
            answer = await self._upstream.ask(request, self._retries)
            if answer.status >= 400:
                return await self._refused(target, answer, ticket)
            first = await answer.read()
            if not first:
                answer.close()
                raise UpstreamFault(f"{target.name} answered {answer.status} with an empty body", uncertain=True)
            return Answered(target, answer, first, asks and not call.asked.wants_usage)
        except Fault as fault:
            if answer is not None:
                answer.close()
            await self._failed(ticket, fault)
            if isinstance(fault, UpstreamFault):
                return fault
            raise  # the request cannot be sent as it is, to nobody
        except BaseException:  # cancelled: the attempt stays open on the ticket, for the pipeline to settle
            if answer is not None:
                answer.close()
            raise

    async def _refused(self, target: Target, answer: UpstreamAnswer, ticket: Ticket) -> Refused:
        """Reads the upstream's own refusal and ends the attempt with it: it generated nothing."""
        body = await _read_error(answer)
        error = f"{answer.status}: {_summary(body)}"
        await self._settle.attempt(
            ticket,
            Outcome(
                End.FAILED,
                answer.status,
                error,
                generated_nothing=True,
                upstream_request_id=value_of(answer.headers, "x-request-id", "request-id"),
            ),
        )
        return Refused(target, answer.status, answer.headers, body, error, answer.connect_ms)

    async def _failed(self, ticket: Ticket, fault: Fault) -> None:
        certain = not isinstance(fault, UpstreamFault) or not fault.uncertain
        outcome = Outcome(End.FAILED, None, error_of(fault), generated_nothing=certain)
        await self._settle.attempt(ticket, outcome)


def _limit_field(target: Target, endpoint: Endpoint) -> str:
    """What limits an answer where the request says nothing: OpenAI's reasoning models take no other field."""
    new = endpoint is Endpoint.CHAT and target.provider.quirks.limits_completion
    return "max_completion_tokens" if new else "max_tokens"


async def _read_error(answer: UpstreamAnswer) -> bytes:
    """An error body, as far as it comes and no longer than a mebibyte; the status alone is an answer too."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < MAX_ERROR_BODY and (part := await answer.read()):
            parts.append(part)
            size += len(part)
    except UpstreamFault:
        parts = []  # half an error object helps nobody; the status says what happened
    finally:
        answer.close()
    return b"".join(parts)[:MAX_ERROR_BODY]


def _summary(body: bytes) -> str:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:200].decode("utf-8", "replace")
    if isinstance(parsed, dict):
        return error_text(parsed.get("error") or parsed.get("detail") or parsed)
    return str(parsed)[:200]
