"""What the providers list: asked once for many, remembered, and never hidden by somebody else's failure."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Fault, Kind, UpstreamFault
from gateway.core.routing import Provider, Target
from gateway.providers.directory import AGAIN, FRESH, ModelDirectory, _ids
from gateway.providers.proxies import no_proxy
from gateway.providers.transport import Address, HttpTransport
from tests.fakes.clock import FakeClock
from tests.providers.asking import bearer
from tests.raw_server import always, raw_server, whole

PROVIDERS = {name: Provider(name, "openai", at_home=False) for name in ("near", "far")}
Answer = Callable[[], Awaitable[tuple[int, bytes]]]


def target(provider: str, model: str) -> Target:
    return Target(PROVIDERS[provider], model)


def listing(*models: str) -> Answer:
    async def answer() -> tuple[int, bytes]:
        return 200, orjson.dumps({"object": "list", "data": [{"id": model} for model in models]})

    return answer


def saying(status: int, body: bytes) -> Answer:
    async def answer() -> tuple[int, bytes]:
        return status, body

    return answer


async def down() -> tuple[int, bytes]:
    raise UpstreamFault("no connection", uncertain=False)


class Providers:
    """What each provider answers, and how often it was asked."""

    def __init__(self, near: Answer, far: Answer) -> None:
        self.clock = FakeClock()
        self.answers = {"near": near, "far": far}
        self.asked: Counter[str] = Counter()

    async def fetch(self, provider: str, path: str, timeout: float) -> tuple[int, bytes]:
        assert path == "models"
        assert timeout <= 5
        self.asked[provider] += 1
        await asyncio.sleep(0)
        return await self.answers[provider]()


def directory_of(near: Answer, far: Answer = down) -> tuple[ModelDirectory, Providers]:
    providers = Providers(near, far)
    return ModelDirectory(PROVIDERS, providers.fetch, providers.clock.monotonic), providers


@pytest.mark.anyio
async def test_a_model_is_found_where_it_is_listed() -> None:
    directory, _ = directory_of(listing("llama", "both"), listing("qwen", "both"))
    assert await directory.find("llama") == (target("near", "llama"),)
    assert await directory.find("qwen") == (target("far", "qwen"),)
    assert await directory.find("both") == (target("near", "both"), target("far", "both"))
    assert await directory.find("other") == ()
    assert await directory.names() == ["near/llama", "near/both", "far/qwen", "far/both"]


@pytest.mark.anyio
async def test_many_who_ask_at_once_share_one_question() -> None:
    directory, providers = directory_of(listing("llama"), listing("qwen"))
    found = await asyncio.gather(*(directory.find("llama") for _ in range(20)), directory.names())
    assert found == [(target("near", "llama"),)] * 20 + [["near/llama", "far/qwen"]]
    assert providers.asked == {"near": 1, "far": 1}


@pytest.mark.anyio
async def test_what_was_listed_is_remembered_and_so_is_what_was_not() -> None:
    directory, providers = directory_of(listing("llama"), listing("qwen"))
    for model in ("llama", "qwen", "other", "llama", "other"):
        await directory.find(model)
    await directory.names()
    assert providers.asked == {"near": 1, "far": 1}


@pytest.mark.anyio
async def test_who_is_asked_again_and_when() -> None:
    """Those who answered after a minute, unless a name is unknown; those who did not after seconds."""
    directory, providers = directory_of(listing("llama"), down)
    await directory.names()
    providers.clock.forward(AGAIN - 1)
    await directory.names()
    await directory.find("other")
    assert providers.asked == {"near": 1, "far": 1}
    providers.clock.forward(1)
    await directory.names()
    assert providers.asked == {"near": 1, "far": 2}
    await directory.find("other")
    assert providers.asked == {"near": 2, "far": 2}
    providers.clock.forward(FRESH - 1)
    assert await directory.find("llama")
    await directory.names()  # it did not wait for the other one
    assert providers.asked == {"near": 2, "far": 3}
    providers.clock.forward(1)
    assert await directory.find("llama")
    assert providers.asked["near"] == 3


@pytest.mark.anyio
async def test_one_who_fails_hides_nobody() -> None:
    async def wrong_key() -> tuple[int, bytes]:
        raise Fault(Kind.INVALID, "the key cannot be sent")

    async def crash() -> tuple[int, bytes]:
        raise RuntimeError("a mistake of ours")

    for failing in (down, wrong_key, saying(500, b"oops"), saying(401, b"{}"), saying(200, b"<html>")):
        directory, _ = directory_of(failing, listing("qwen"))
        assert await directory.find("qwen") == (target("far", "qwen"),)
        assert await directory.names() == ["far/qwen"]
        assert await directory.find("llama") == ()

    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))
    directory, _ = directory_of(crash, listing("qwen"))
    assert await directory.find("qwen") == (target("far", "qwen"),)
    assert [str(error) for error in heard] == ["a mistake of ours"], "nor is a mistake swallowed"


@pytest.mark.anyio
async def test_one_who_hangs_holds_up_nobody_elses_calls() -> None:
    hanging = asyncio.Event()

    async def hang() -> tuple[int, bytes]:
        await hanging.wait()
        return await listing("late")()

    directory, providers = directory_of(listing("llama"), listing("qwen"))
    await directory.names()
    providers.answers["far"] = hang
    providers.clock.forward(FRESH)
    late = asyncio.ensure_future(directory.find("late"))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(directory.find("llama"), 5) == (target("near", "llama"),)
    assert not late.done()
    hanging.set()
    assert await late == (target("far", "late"),)


@pytest.mark.anyio
async def test_a_caller_who_leaves_takes_nobodys_answer_away() -> None:
    directory, providers = directory_of(listing("llama"), listing("qwen"))
    first, second = (asyncio.ensure_future(directory.find("qwen")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == (target("far", "qwen"),)
    assert providers.asked == {"near": 1, "far": 1}


@pytest.mark.anyio
async def test_whom_it_listed_before_a_failure_is_still_known() -> None:
    directory, providers = directory_of(listing("llama"), listing("qwen"))
    await directory.names()
    providers.answers["near"] = down
    providers.clock.forward(FRESH)
    assert await directory.find("llama") == (target("near", "llama"),)
    assert providers.asked["near"] == 2


@pytest.mark.anyio
async def test_what_is_listed_changes_with_time() -> None:
    directory, providers = directory_of(listing("old"), listing("qwen"))
    assert await directory.find("old")
    providers.answers["near"] = listing("new")
    providers.clock.forward(FRESH)
    assert await directory.find("old") == ()
    assert await directory.find("new") == (target("near", "new"),)


@pytest.mark.parametrize(
    ("body", "models"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}]}', ("a", "b")),
        (b'[{"id": "a"}]', ("a",)),
        (b'{"models": [{"name": "a", "model": "a"}]}', ("a",)),
        (b'{"models": [{"name": "other"}], "data": [{"id": "a"}]}', ("a",)),
        (b'["a", "b"]', ("a", "b")),
        (b'{"data": ["a"]}', ("a",)),
        (b'{"data": [{"id": "a"}, {"id": "a"}]}', ("a",)),
        (b'{"data": [{"id": 1}, {"id": null}, {"id": ""}, {}, null, 7, [], {"id": "a"}]}', ("a",)),
        (b'{"data": []}', ()),
        (b'{"object": "list", "data": null}', ()),
        (b'{"data": "a"}', None),
        (b'{"data": {"a": {}}}', None),
        (b'{"error": {"message": "no"}}', None),
        (b'"a"', None),
        (b"null", None),
        (b"7", None),
        (b"", None),
        (b"<html></html>", None),
        (b'{"data": [{"id": "a"}', None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_shapes_of_a_listing(body: bytes, models: tuple[str, ...] | None) -> None:
    assert _ids(body) == models


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "id", "models", "name"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_no_listing_can_crash_it(listing: object) -> None:
    models = _ids(orjson.dumps(listing))
    assert models is None or all(type(model) is str and model for model in models)


@pytest.mark.anyio
async def test_a_huge_listing_is_a_failure_and_no_more() -> None:
    huge = whole(b'{"data": [' + b'{"id": "x"},' * 800_000 + b'{"id": "y"}]}')
    async with raw_server(always(huge)) as near, raw_server(always(whole(b'{"data": [{"id": "qwen"}]}'))) as far:
        addresses = {"near": Address(f"{near.url}/v1", bearer), "far": Address(f"{far.url}/v1", bearer)}
        transport = HttpTransport(addresses, proxies=no_proxy)
        directory = ModelDirectory(PROVIDERS, transport.fetch)
        assert await directory.names() == ["far/qwen"]
        await transport.stop()
