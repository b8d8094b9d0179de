"""One gateway and one scripted upstream for everything that can share them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends.engines import AIMOCK, llamacpp, running
from tests.e2e.gateway import Served, serving
from tests.e2e.played import Plays, play_all
from tests.e2e.played import settings as replay_settings
from tests.e2e.upstream import DONE, Upstream, answers, completion, event, streams, whole

PRICE = '{usd_per_million: {input: "2", cache_read: "0.5", output: "10"}}'

SETTINGS = """\
server: {{max_body: 1MiB, allowed_origins: ["https://app.example"]}}
providers:
  up: {{kind: openai, base_url: "{url}/v1"}}
  dead: {{kind: openai, base_url: "http://127.0.0.1:{closed}/v1"}}
models:
  toll: {{targets: [up/toll]}}
  spare: {{targets: [dead/none, up/spare]}}
  crowded: {{targets: [up/crowded-one, up/crowded-two]}}
retries: {{timeout: 20s, first_byte_timeout: 1s, idle_timeout: 2s}}
prices:
  up/*: {price}
"""


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    scripted = Upstream()
    yield scripted
    scripted.stop()


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Keyless, on loopback, before the scripted upstream; `dead/*` is a provider where nobody listens."""
    settings = SETTINGS.format(url=upstream.url, closed=1, price=PRICE)
    upstream.plays("warm", streams(event("four", finish="stop"), DONE))
    with serving(_folder(tmp_path_factory), settings) as served:
        # Its first estimate starts a process that reads the vocabularies: seconds, where the machine is busy.
        assert served.call(served.post("up/warm", stream=True))["usage_basis"] == "estimated"
        yield served


BOOKS = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1"}}}}
database: {{url: env:BOOKS}}
prices: {{up/*: {price}}}
"""


@pytest.fixture
def settings(upstream: Upstream) -> str:
    """Of a gateway of a test's own, with one model, `up/books`, whose calls cost `COST`."""
    upstream.plays("books", answers(whole(completion())))
    return BOOKS.format(url=upstream.url, price=PRICE)


KEYED = """\
providers: {{up: {{kind: openai, base_url: "{url}/v1", api_key: env:PROVIDER_KEY}}}}
prices: {{up/*: {price}}}
keys:
  ci: {{secret: env:CI_KEY, team: platform, models: [up/allowed, up/gone]}}
"""
CI_KEY = "tk-ci-0123456789abcdefghijklmnopqrstuvwxyz"
PROVIDER_KEY = "sk-provider-0123456789"


@pytest.fixture(scope="session")
def keyed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that wants a key of its own, and has one for the provider."""
    settings = KEYED.format(url=upstream.url, price=PRICE)
    with serving(_folder(tmp_path_factory), settings, CI_KEY=CI_KEY, PROVIDER_KEY=PROVIDER_KEY) as served:
        yield served


@pytest.fixture(scope="session")
def replayed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The gateway through which the recordings go."""
    with serving(_folder(tmp_path_factory), replay_settings(upstream.url)) as served:
        yield served


@pytest.fixture(scope="session")
def plays(replayed: Served, upstream: Upstream) -> Plays:
    """All recordings, played in every way once."""
    return play_all(replayed, upstream)


BENCH = """\
providers:
  llamacpp: {{base_url: "{chat}"}}
  locked: {{kind: llamacpp, base_url: "{locked}/v1", api_key: env:LOCKED_KEY}}
  shut: {{kind: llamacpp, base_url: "{locked}/v1"}}
  vectors: {{kind: llamacpp, base_url: "{vectors}"}}
  aimock: {{kind: openai, base_url: "{aimock}/v1"}}
retries: {{timeout: 60s}}
prices:
  llamacpp/*: {{usd_per_million: {{input: "1", cache_read: "0.1", output: "2"}}}}
  vectors/*: {{usd_per_million: {{input: "1"}}}}
  aimock/*: {{like: openai}}
"""


@dataclass(frozen=True)
class Bench:
    """A gateway before real servers, and where those are."""

    gateway: Served
    llamacpp: str
    vectors: str
    aimock: str


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """llama.cpp for chat, for embeddings and behind a key, and aimock, which are installed and started in seconds."""
    with (
        running(llamacpp()) as chat,
        running(llamacpp("embeddings")) as vectors,
        running(llamacpp("chat", "api_keys=['right']")) as locked,
        running(AIMOCK) as aimock,
        serving(
            _folder(tmp_path_factory),
            BENCH.format(chat=chat, vectors=vectors, locked=locked, aimock=aimock),
            LOCKED_KEY="right",
        ) as gateway,
    ):
        yield Bench(gateway, chat, vectors, aimock)


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("gateway")
