"""The pipeline, put together from honest fakes: what the tests of its steps share."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.actions import Action, InForce
from gateway.core.budgets import Budget, Budgets
from gateway.core.calls import CallRecord
from gateway.core.keys import Key, digest
from gateway.core.limits import Limit, Limits
from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import FilePrice, Price, PriceBook
from gateway.core.routing import Alias, Plan, Provider, Quirks, Retries, Target
from gateway.proxy.admit import Admit
from gateway.proxy.authenticate import Authenticate, KeyPolicy
from gateway.proxy.call import Arrival
from gateway.proxy.forward import Forward
from gateway.proxy.hold import Hold, Terms
from gateway.proxy.ids import new_id
from gateway.proxy.pace import Pace
from gateway.proxy.pipeline import Pipeline
from gateway.proxy.relay import Relay, Reply
from gateway.proxy.route import Route
from gateway.proxy.settle import Settle
from gateway.wire.openai import Endpoint
from tests.fakes.clock import FakeClock
from tests.fakes.directory import FixedDirectory
from tests.fakes.escrow import MemoryEscrow
from tests.fakes.journal import MemoryJournal
from tests.fakes.keyring import MemoryKeyRing
from tests.fakes.observer import Witness
from tests.fakes.tokenizer import WordTokenizer
from tests.fakes.upstream import EVENTS, JSON, ScriptedAnswer, ScriptedUpstream

A = Provider("a", "openai", at_home=False)
B = Provider("b", "vllm", at_home=False)
STUBBORN = Provider("stubborn", "mistral", at_home=False, quirks=Quirks(refuses_stream_options=True))
SECRET = "tk-secret"

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
"""Costs 0.002 + 0.001 USD at `PRICES`."""
COST = 3_000_000


class NoMap:
    """No prices but those of the file."""

    version = "none"

    def find(self, kind: str, model: str) -> Price | None:
        return None

    def models(self, kind: str) -> tuple[str, ...]:
        return ()

    def facts(self, kind: str, model: str) -> ModelFacts:
        return NO_FACTS


PRICES = PriceBook(
    NoMap(), [FilePrice("a/*", {"input": Decimal(2), "output": Decimal(10)}), FilePrice("b/free", free=True)]
)


def chat(model: str = "a/m", **more: object) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "one two three"}], **more}).encode()


def whole(text: str = "four five", usage: object = USAGE, **more: object) -> ScriptedAnswer:
    """A whole answer that came well."""
    answer: dict[str, Any] = {"id": "x", "choices": [{"message": {"content": text}, "finish_reason": "stop"}], **more}
    if usage is not None:
        answer["usage"] = usage
    return ScriptedAnswer(headers=[*JSON, ("x-request-id", "up-1")], pieces=[json.dumps(answer).encode()])


def error(status: int, message: str = "no") -> ScriptedAnswer:
    body = json.dumps({"error": {"message": message, "type": "t", "param": None, "code": "c"}}).encode()
    return ScriptedAnswer(status=status, pieces=[body])


def event(content: str | None = None, *, finish: str | None = None, usage: object = "absent") -> bytes:
    """One event of a chat stream; without content and finish it holds usage alone."""
    chunk: dict[str, Any] = {"id": "x", "choices": []}
    if content is not None or finish is not None:
        delta = {} if content is None else {"content": content}
        chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
    if usage != "absent":
        chunk["usage"] = usage
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def stream(*pieces: Any) -> ScriptedAnswer:
    return ScriptedAnswer(headers=[*EVENTS, ("x-request-id", "up-1")], pieces=pieces)


@dataclass(slots=True)
class Rig:
    """A pipeline and everything around it that a test may look at."""

    upstream: ScriptedUpstream
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    clock: FakeClock = field(default_factory=FakeClock)
    tokenizer: WordTokenizer = field(default_factory=WordTokenizer)
    witness: Witness = field(default_factory=Witness)
    directory: FixedDirectory = field(default_factory=FixedDirectory)
    key: Key = Key("k1", "ci", "tk-sec", digest(SECRET), 0, team="platform")
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    retries: Retries = Retries()
    refuse_unpriced: bool = False
    buffer_answers: int = 1_000_000
    max_body: int = 1_000_000
    prices: PriceBook = field(default_factory=lambda: PRICES)
    budgets: Sequence[Budget] = ()
    escrow: MemoryEscrow = field(default_factory=MemoryEscrow)
    limits: Sequence[Limit] = ()
    rates: MemoryEscrow = field(default_factory=MemoryEscrow)
    actions: Sequence[Action] = ()
    crashes: list[BaseException] = field(default_factory=list)
    settle: Settle = field(init=False)
    pipeline: Pipeline = field(init=False)
    authenticate: Authenticate = field(init=False)
    route: Route = field(init=False)

    def __post_init__(self) -> None:
        self.settle = Settle(
            self.journal,
            self.tokenizer,
            [self.witness],
            self.clock,
            self.crashes.append,
            self.escrow,
            self.rates,
        )
        limits = Limits(self.limits)
        pace = Pace(self.rates, lambda: limits, self.clock)
        providers = {provider.name: provider for provider in (A, B, STUBBORN)}
        self.route = Route(providers, self.aliases, self.prices, self.directory, refuse_unpriced=self.refuse_unpriced)
        index = Budgets(self.budgets, {budget.zone: ZoneInfo(budget.zone) for budget in self.budgets})
        terms = Terms(self.retries.attempts)
        acting = InForce(self.actions)
        hold = Hold(
            self.journal,
            self.prices,
            self.clock,
            self.escrow,
            lambda: index,
            self.route,
            terms,
            actions=lambda: acting,
        )
        ring, policy = MemoryKeyRing(lambda: 0, [self.key]), KeyPolicy(None, bound_to_loopback=True)
        self.authenticate = Authenticate(ring, policy, actions=lambda: acting)
        self.pipeline = Pipeline(
            authenticate=self.authenticate,
            admit=Admit(self.clock, self.max_body),
            pace=pace,
            route=self.route,
            hold=hold,
            forward=Forward(self.upstream, hold, self.settle, self.retries),
            relay=Relay(self.settle, self.clock, self.buffer_answers, self.escrow, pace),
            settle=self.settle,
            crashed=self.crashes.append,
        )

    def arrival(self, body: bytes, headers: Mapping[str, str] | None = None, **more: Any) -> Arrival:
        fields = {"authorization": f"Bearer {SECRET}", "host": "localhost", **(headers or {})}

        async def read_body(limit: int) -> bytes:
            return body

        return Arrival(
            id=new_id(self.clock.now_us()),
            started_us=self.clock.now_us(),
            begun=self.clock.monotonic(),
            endpoint=more.get("endpoint", Endpoint.CHAT),
            headers=fields,
            fields=list(fields.items()),
            peer="127.0.0.1",
            read_body=more.get("read_body", read_body),
        )

    async def call(self, body: bytes, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
        return await self.pipeline(self.arrival(body, headers, **more))

    @property
    def record(self) -> CallRecord:
        """The one row that there must be."""
        (record,) = self.journal.records
        assert self.witness.seen == [record]
        assert not self.journal.open_calls
        return record


def unbudgeted(journal: MemoryJournal, prices: PriceBook = PRICES) -> Hold:
    """The step where there are no budgets."""

    async def nowhere(model: str) -> Plan:
        raise AssertionError(f"nothing downgrades to {model}")

    return Hold(journal, prices, FakeClock(), MemoryEscrow(), lambda: Budgets((), {}), nowhere, Terms())


def rig(*answers: ScriptedAnswer | Exception, **more: Any) -> Rig:
    return Rig(ScriptedUpstream(*answers), **more)


def alias(name: str, *targets: tuple[Provider, str]) -> dict[str, Alias]:
    return {name: Alias(name, tuple(Target(provider, model) for provider, model in targets))}


async def read(reply: Reply) -> bytes:
    """The whole body of a reply."""
    if reply.rest is None:
        return reply.body
    parts = []
    while part := await reply.rest.next():
        parts.append(part)
    return b"".join(parts)


def header(reply: Reply, name: str) -> str | None:
    return next((value for field_name, value in reply.headers if field_name == name), None)
