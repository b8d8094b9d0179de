"""From settings to the values of the core: providers, aliases, prices, limits, keys.

Secrets are looked up here, once, at start. Opens nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.control.dependencies import DeclaredKey
from gateway.control.minting import shown_prefix
from gateway.core.errors import Fault, Kind
from gateway.core.keys import Key, Secret, digest
from gateway.core.money import to_nano
from gateway.core.pricing import FilePrice
from gateway.core.routing import Alias, Provider, Retries, Target
from gateway.providers.catalog import KindFacts, base_url_of, kind_of, provider_of
from gateway.providers.credentials import auth_headers
from gateway.providers.simulated import Simulation
from gateway.proxy.authenticate import is_loopback
from gateway.settings import ProviderSettings, Settings


@dataclass(frozen=True, slots=True)
class Configured:
    """A provider as the settings describe it."""

    provider: Provider
    facts: KindFacts
    base_url: str | None
    api_key: Secret | None
    simulation: Simulation | None


def configured_providers(settings: Settings, environ: Mapping[str, str]) -> dict[str, Configured]:
    return {name: _provider(name, one, settings, environ) for name, one in settings.providers.items()}


def _provider(name: str, given: ProviderSettings, settings: Settings, environ: Mapping[str, str]) -> Configured:
    facts = kind_of(name, given.kind)
    api_key = Secret(given.api_key.resolve(environ)) if given.api_key is not None else None
    auth_headers(facts, api_key, None)  # a key that cannot be sent is an error at start, not at the first call
    if facts.name == "simulated":
        shape = given.simulate
        simulation = (
            Simulation()
            if shape is None
            else Simulation(shape.ttft, shape.itl, shape.jitter, shape.output_tokens, shape.errors, shape.seed)
        )
        return Configured(provider_of(name, facts, None), facts, None, api_key, simulation)
    base_url = base_url_of(facts, given.base_url)
    _refuse_circle(name, base_url, settings)
    return Configured(provider_of(name, facts, given.base_url), facts, base_url, api_key, None)


def _refuse_circle(name: str, base_url: str, settings: Settings) -> None:
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    ours = settings.server.host
    here = host == ours or (is_loopback(host) and (is_loopback(ours) or _is_everywhere(ours)))
    if here and port == settings.server.port:
        raise Fault(
            Kind.INVALID,
            f"the base URL of providers.{name} leads back to this gateway",
            hint="give the provider's own address",
            param=f"providers.{name}.base_url",
        )


def _is_everywhere(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def authoriser_of(one: Configured) -> Callable[[Secret | None], list[tuple[str, str]]]:
    return lambda client_key: auth_headers(one.facts, one.api_key, client_key)


def provider_keys(configured: Mapping[str, Configured]) -> list[Secret]:
    return [one.api_key for one in configured.values() if one.api_key is not None]


def database_secrets(settings: Settings) -> list[Secret]:
    """The password in the database's address, as it is written there and as it is meant."""
    parts = urlsplit(settings.database.url)
    queried = [value for name, value in parse_qsl(parts.query) if "password" in name]
    written = [parts.password, unquote(parts.password)] if parts.password else []
    return [Secret(text) for text in (*written, *queried)]


def aliases_of(settings: Settings, providers: Mapping[str, Provider]) -> dict[str, Alias]:
    return {
        name: Alias(name, tuple(_target(text, providers) for text in model.targets), model.default_max_output_tokens)
        for name, model in settings.models.items()
    }


def _target(text: str, providers: Mapping[str, Provider]) -> Target:
    provider, _, model = text.partition("/")
    return Target(providers[provider], model)


def file_prices(settings: Settings) -> list[FilePrice]:
    return [
        FilePrice(pattern, price.usd_per_million, price.usd_per_call, bool(price.free), price.like)
        for pattern, price in settings.prices.targets.items()
    ]


def price_places(settings: Settings) -> dict[str, str | None]:
    """What the file declares prices for, and where."""
    return {
        pattern: f"{settings.file.name}, line {price.line}" if settings.file and price.line else None
        for pattern, price in settings.prices.targets.items()
    }


def retries_of(settings: Settings) -> Retries:
    given = settings.retries
    return Retries(
        attempts=given.attempts,
        timeout=given.timeout,
        connect_timeout=given.connect_timeout,
        first_byte_timeout=given.first_byte_timeout,
        idle_timeout=given.idle_timeout,
        retry_uncertain=given.uncertain == "retry",
    )


def declared_keys(settings: Settings, environ: Mapping[str, str]) -> tuple[tuple[DeclaredKey, ...], tuple[Secret, ...]]:
    """The keys of the file, and their secrets for the log's eyes only."""
    declared, secrets = [], []
    for name, given in settings.keys.items():
        secret = given.secret.resolve(environ)
        secrets.append(Secret(secret))
        expires = None if given.expires_at is None else int(given.expires_at.timestamp() * 1_000_000)
        key = Key(
            id=f"file:{name}",
            name=name,
            prefix=shown_prefix(Secret(secret)),
            digest=digest(secret),
            created_us=0,
            team=given.team,
            models=given.models,
            labels=given.labels,
            expires_us=expires,
            source="file",
            max_cost_nano=None if given.max_cost_usd is None else to_nano(given.max_cost_usd),
            required_labels=given.required_labels,
        )
        place = f"{settings.file.name}, line {given.line}" if settings.file and given.line else None
        declared.append(DeclaredKey(key, place))
    return tuple(declared), tuple(secrets)
