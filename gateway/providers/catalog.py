"""Known kinds of provider: address, way of signing, where its prices stand, where it departs from OpenAI's wire.

Facts about the outside world and nothing else; what an operator configured is not known here.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from gateway.core.errors import Fault, Kind
from gateway.core.routing import Provider, Quirks

_AS_OPENAI = Quirks()
# Both answer 422 to a field they do not know, and both state usage in the last chunk without being asked.
_ASK_NOT = Quirks(refuses_stream_options=True)


class Auth(StrEnum):
    """How a request is authorised."""

    BEARER = "bearer"
    """`authorization: Bearer KEY`."""
    API_KEY = "api-key"
    """`api-key: KEY`, Azure's way."""
    NONE = "none"
    """No key expected, as with most servers of one's own; a key that is configured is sent as a bearer token."""


@dataclass(frozen=True, slots=True)
class KindFacts:
    """What is known of one kind of provider."""

    name: str
    base_url: str | None
    """What OpenAI's client would be given; null where every account or machine has its own."""
    auth: Auth = Auth.BEARER
    price_providers: tuple[str, ...] = ()
    """Its names in litellm's price map; the first, with a slash, begins the keys of its models there."""
    home_hosts: tuple[str, ...] = ()
    """Hosts that bill by those prices; one with a leading dot stands for everything below it."""
    quirks: Quirks = _AS_OPENAI
    key_variable: str | None = None
    """The usual environment variable of its key."""
    base_url_variable: str | None = None
    regional_hosts: tuple[tuple[str, str], ...] = ()
    """Home hosts that bill what a region costs, with the region."""
    picture_tokens: int | None = None
    """The most tokens that a picture in a prompt is billed as, of all its models; null: it does not say."""


def _hosted(
    name: str, base_url: str, *, variable: str, prices: tuple[str, ...], quirks: Quirks = _AS_OPENAI
) -> KindFacts:
    host = urlsplit(base_url).hostname or ""
    return KindFacts(name, base_url, Auth.BEARER, prices, (host,), quirks, variable)


def _own(name: str, base_url: str | None = None) -> KindFacts:
    return KindFacts(name, base_url, Auth.NONE)


_OPENAI_PICTURE = 2833 + 8 * 5667
"""gpt-4o-mini bills most for one: a base and eight tiles, two by four of 512 pixels (OpenAI, "Images and vision")."""
_CLAUDE_PICTURE = 4784
"""Of 2,576 pixels, the largest that any model takes (Anthropic, "Vision")."""

_ALL = (
    KindFacts(
        "openai",
        "https://api.openai.com/v1",
        quirks=Quirks(limits_completion=True),
        price_providers=("openai", "text-completion-openai"),
        home_hosts=("api.openai.com", "eu.api.openai.com", "us.api.openai.com"),
        regional_hosts=(("eu.api.openai.com", "eu"), ("us.api.openai.com", "us")),
        key_variable="OPENAI_API_KEY",
        base_url_variable="OPENAI_BASE_URL",
        picture_tokens=_OPENAI_PICTURE,
    ),
    KindFacts(
        "azure",
        None,
        Auth.API_KEY,
        # By name of deployment, which is the model's unless the operator called it otherwise.
        ("azure", "azure_text"),
        (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"),
        quirks=Quirks(limits_completion=True),
        key_variable="AZURE_OPENAI_API_KEY",
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        picture_tokens=_OPENAI_PICTURE,
    ),
    replace(
        _hosted("anthropic", "https://api.anthropic.com/v1", variable="ANTHROPIC_API_KEY", prices=("anthropic",)),
        picture_tokens=_CLAUDE_PICTURE,
    ),
    _hosted(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        variable="GEMINI_API_KEY",
        prices=("gemini",),
    ),
    _hosted("mistral", "https://api.mistral.ai/v1", variable="MISTRAL_API_KEY", prices=("mistral",), quirks=_ASK_NOT),
    _hosted("groq", "https://api.groq.com/openai/v1", variable="GROQ_API_KEY", prices=("groq",)),
    _hosted("deepseek", "https://api.deepseek.com/v1", variable="DEEPSEEK_API_KEY", prices=("deepseek",)),
    _hosted("xai", "https://api.x.ai/v1", variable="XAI_API_KEY", prices=("xai",)),
    _hosted("openrouter", "https://openrouter.ai/api/v1", variable="OPENROUTER_API_KEY", prices=("openrouter",)),
    KindFacts(
        "together",
        "https://api.together.xyz/v1",
        price_providers=("together_ai",),
        home_hosts=("api.together.xyz", "api.together.ai"),
        key_variable="TOGETHER_API_KEY",
    ),
    _hosted(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        variable="FIREWORKS_API_KEY",
        prices=("fireworks_ai", "fireworks_ai-embedding-models"),
    ),
    _hosted("perplexity", "https://api.perplexity.ai", variable="PERPLEXITY_API_KEY", prices=("perplexity",)),
    _hosted(
        "cerebras", "https://api.cerebras.ai/v1", variable="CEREBRAS_API_KEY", prices=("cerebras",), quirks=_ASK_NOT
    ),
    # Servers of one's own: what their hardware costs is stated by the operator, or unknown.
    _own("vllm"),
    _own("sglang"),
    _own("llamacpp"),
    _own("ollama", "http://localhost:11434/v1"),
    _own("lmstudio", "http://localhost:1234/v1"),
    _own("tgi"),
    _own("mlx"),
    _own("transformers"),
    _own("simulated"),
)

KINDS: Mapping[str, KindFacts] = {facts.name: facts for facts in _ALL}

_VERSION = re.compile(r"v\d+[a-z0-9]*")
"""A path segment that names an API version: `v1`, `v1beta`."""


def kind_of(provider: str, stated: str | None = None) -> KindFacts:
    """The kind of a provider: as stated, else that of its name, else `openai`. Raises `Fault` (invalid)."""
    if stated is None:
        return KINDS.get(provider, KINDS["openai"])
    if stated not in KINDS:
        near = difflib.get_close_matches(stated, KINDS, n=1)
        known = f"did you mean {near[0]}?" if near else f"known kinds: {', '.join(KINDS)}"
        raise Fault(Kind.INVALID, f"{stated!r} is not a known kind of provider", hint=known, param="kind")
    return KINDS[stated]


def provider_of(name: str, facts: KindFacts, stated_base_url: str | None) -> Provider:
    """A configured provider without its secrets. Raises `Fault` (invalid) for an address that cannot be one."""
    if facts.name == "simulated":
        return Provider(name, facts.name, False, facts.quirks)
    base_url = base_url_of(facts, stated_base_url)
    at_home = is_home(facts, base_url)
    # Elsewhere stands another server that speaks the same dialect, in older words.
    quirks = facts.quirks if at_home else replace(facts.quirks, limits_completion=False)
    pictures = facts.picture_tokens if at_home else None
    return Provider(name, facts.name, at_home, quirks, region_of(facts, base_url), pictures)


def canonical_base(url: str, facts: KindFacts | None = None) -> str:
    """The address below which `chat/completions` lies, from any form that an SDK takes; no slash at the end.

    A trailing `/v1` may be there or not. With the kind's facts the bare host of that kind works too.
    Raises `Fault` (invalid) for anything but a plain http(s) address; its text never repeats the address,
    which may hold a password.
    """
    parts = _plain(url)
    origin = f"{parts.scheme}://{_authority(parts)}"
    path = parts.path.rstrip("/")
    home = _home_path(parts, facts)
    if home is not None and path in ("", "/v1", home, home.removesuffix("/v1")):
        return origin + home
    if any(_VERSION.fullmatch(segment) for segment in path.split("/")):
        return origin + path
    return f"{origin}{path}/v1"


def base_url_of(facts: KindFacts, stated: str | None) -> str:
    """The canonical address of a provider: the stated one, else its kind's. Raises `Fault` (invalid)."""
    if stated is not None:
        return canonical_base(stated, facts)
    if facts.base_url is None:
        raise Fault(
            Kind.INVALID,
            f"a provider of kind {facts.name} needs an address",
            hint="set base_url, for example http://localhost:8000/v1",
            param="base_url",
        )
    return facts.base_url


def is_home(facts: KindFacts, base_url: str) -> bool:
    """Whether this address is one of the kind's own, billed by the kind's prices."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" and parts.port in (None, 443) and _hosts(facts, parts.hostname or "")


def region_of(facts: KindFacts, base_url: str) -> str | None:
    """The region whose prices an address bills; null for the plain ones."""
    return dict(facts.regional_hosts).get(urlsplit(base_url).hostname or "")


def _hosts(facts: KindFacts, host: str) -> bool:
    return any(host.endswith(home) if home.startswith(".") else host == home for home in facts.home_hosts)


def _home_path(parts: SplitResult, facts: KindFacts | None) -> str | None:
    if facts is None or not _hosts(facts, parts.hostname or ""):
        return None
    return urlsplit(facts.base_url).path if facts.base_url else "/openai/v1"  # the latter: Azure


def _plain(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed only when asked for
    except ValueError:
        raise _not_an_address("is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _not_an_address("does not begin with http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise _not_an_address("contains a user name or password", "put the key into api_key")
    if "?" in url or "#" in url:
        raise _not_an_address("has a query or a fragment")
    if re.search(r"[\s\\\x00-\x1f\x7f]|[^\x21-\x7e]", url) or ".." in parts.path.split("/"):
        raise _not_an_address("contains a character or step that has no place in an address")
    return parts


def _authority(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return host if parts.port in (None, default) else f"{host}:{parts.port}"


def _not_an_address(what: str, hint: str = "write something like https://api.example.com/v1") -> Fault:
    return Fault(Kind.INVALID, f"the base URL {what}", hint=hint, param="base_url")
