"""What the environment says: a variable for each plain setting, and providers by their usual variables.

Owns the names `TOLLKEEPER_…` and the variables that the providers' own SDKs read. A secret is never taken out of the
environment here, only referred to.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.addresses import check_base_url
from gateway.settings.model import ProviderSettings, Settings
from gateway.settings.problems import Origin, Report, Wrong, did_you_mean
from gateway.settings.schema import Section, settings_of
from gateway.settings.secret_refs import SecretRef
from gateway.settings.source import Node

PREFIX = "TOLLKEEPER_"
CONFIG = "TOLLKEEPER_CONFIG"
NO_SETTINGS = (CONFIG, "TOLLKEEPER_ADMIN_TOKEN")
"""Variables of ours that are no setting of the file."""

# What Kubernetes (and Docker's old links) put into every container beside a service whose name begins with
# "tollkeeper": nobody wrote it, so it is neither a setting nor a mistake.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$")
_LINK_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")


def variable(path: tuple[str, ...]) -> str:
    """The environment variable of a setting."""
    return PREFIX + "_".join(path).upper()


def plain_settings(section: type[Section] = Settings, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all settings that a variable can set: single values of fixed sections."""
    for name, about in settings_of(section).items():
        if about.rule.scalar:
            yield (*path, name)
        elif about.rule.section is not None and about.rule.entry is None:
            yield from plain_settings(about.rule.section, (*path, name))


def overlay(tree: Node, environ: Mapping[str, str], report: Report) -> Node:
    """The tree with what variables set put over it; an empty variable counts as not set."""
    known = {variable(path): path for path in plain_settings()}
    for name in sorted(environ):
        value = environ[name]
        if not name.startswith(PREFIX) or name in NO_SETTINGS or _is_service_link(name, value):
            continue
        origin = Origin(name, None, Path.cwd())
        if name not in known:
            message, hint = _refusal(name, known)
            report.add((), origin, message, hint)
        elif value:
            tree = tree.put(known[name], Node(known[name], origin, value))
    return tree


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.search(name) or (name.endswith("_PORT") and _LINK_ADDRESS.fullmatch(value)))


def _refusal(name: str, known: Mapping[str, object]) -> tuple[str, str | None]:
    for path, phrase in _later():
        if name == variable(path) or (len(path) == 1 and name.startswith(variable(path) + "_")):
            return f"{phrase} not in this version", None
    for key, about in settings_of(Settings).items():
        if about.rule.entry is not None and name.startswith(variable((key,))):
            return f"{key} can be set in the file only", None
        lists = settings_of(about.rule.section) if about.rule.section is not None else {}
        if any(name == variable((key, leaf)) and not about.rule.scalar for leaf, about in lists.items()):
            return "this setting is not one value, so it can be set in the file only", None
    return "no setting has this variable", did_you_mean(name, (*known, *NO_SETTINGS))


def _later() -> Iterator[tuple[tuple[str, ...], str]]:
    for key, phrase in Settings.LATER.items():
        yield (key,), phrase
    for key, about in settings_of(Settings).items():
        if about.rule.section is not None and about.rule.entry is None:
            for leaf, phrase in about.rule.section.LATER.items():
                yield (key, leaf), phrase


@dataclass(frozen=True, slots=True)
class Found:
    """Providers by their usual variables, and what was seen there and is not used."""

    providers: Mapping[str, ProviderSettings]
    notes: tuple[str, ...]


_USUAL = ("openai", "anthropic", "gemini", "mistral", "groq", "deepseek", "xai", "openrouter", "together", "fireworks")
_AWS = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")


def providers_from_environment(environ: Mapping[str, str]) -> Found:
    """The providers whose usual variables are set, each key as a reference. Raises `SettingsError`."""
    report = Report()
    found: dict[str, ProviderSettings] = {}
    for kind in _USUAL:
        key = f"{kind.upper()}_API_KEY"
        address = environ.get("OPENAI_BASE_URL", "").strip() if kind == "openai" else ""
        if environ.get(key, "").strip() or address:
            base_url = _address("OPENAI_BASE_URL", address, report) if address else None
            found[kind] = _provider(kind, key if environ.get(key, "").strip() else None, base_url)
    notes = []
    key, endpoint = (environ.get(name, "").strip() for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"))
    if key and endpoint:
        base_url = _address("AZURE_OPENAI_ENDPOINT", endpoint, report)
        found["azure"] = _provider("azure", "AZURE_OPENAI_API_KEY", base_url)
    elif key:
        notes.append("AZURE_OPENAI_API_KEY is set and AZURE_OPENAI_ENDPOINT is not, so there is no provider `azure`")
    if seen := next((name for name in _AWS if environ.get(name, "").strip()), None):
        notes.append(f"{seen} is set and not used: Bedrock is not in this version")
    report.raise_if_any()
    return Found(found, tuple(notes))


def _provider(kind: str, key: str | None, base_url: str | None) -> ProviderSettings:
    reference = SecretRef("env", key, f"providers.{kind}.api_key", None, key) if key else None
    return ProviderSettings(kind=kind, base_url=base_url, api_key=reference)


def _address(name: str, text: str, report: Report) -> str:
    try:
        return check_base_url(text)
    except Wrong as wrong:
        report.add((), Origin(name, None, Path.cwd()), wrong.message, wrong.hint)
        return text
