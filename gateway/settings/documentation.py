"""The reference of all settings, from the model: what `docs/configuration.md` says and the command line can print."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.settings.environment import plain_settings, variable
from gateway.settings.model import Settings
from gateway.settings.schema import Default, Section, Setting, settings_of


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """What there is to know about one setting."""

    path: str
    """`server.port`; names chosen by the user in capitals, `providers.NAME.kind`."""
    type: str
    default: str
    sentence: str
    variable: str | None
    """The environment variable that sets it, if one can."""


def describe() -> tuple[SettingDoc, ...]:
    """Every setting that holds a value, in the order of the model."""
    return tuple(_describe(Settings, (), frozenset(plain_settings())))


def _describe(section: type[Section], path: tuple[str, ...], plain: frozenset[tuple[str, ...]]) -> Iterator[SettingDoc]:
    for name, about in settings_of(section).items():
        here = path if about.takes_others else (*path, name)
        inside = here if about.rule.entry is None else (*here, about.rule.entry)
        if about.rule.section is not None:
            yield from _describe(about.rule.section, inside, plain)
        else:
            setter = variable(here) if here in plain else None
            yield SettingDoc(".".join(inside), about.rule.word, _default(about), about.sentence, setter)


def _default(about: Setting) -> str:
    if about.shown is not None:
        return about.shown
    if about.default is None:
        return "not set"
    return about.default.value if isinstance(about.default, Default) else f"`{about.default}`"


def table() -> str:
    """The reference as a Markdown table."""
    lines = ["| setting | type | default | what it does | environment variable |", "|---|---|---|---|---|"]
    for doc in describe():
        cells = (f"`{doc.path}`", doc.type, doc.default, doc.sentence, f"`{doc.variable}`" if doc.variable else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def later() -> tuple[str, ...]:
    """The settings of the contract that this version refuses, by path."""
    return tuple(sorted(_later(Settings, ())))


def _later(section: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    yield from (".".join((*path, key)) for key in section.LATER)
    for name, about in settings_of(section).items():
        if about.rule.section is not None:
            entry = (about.rule.entry,) if about.rule.entry else ()
            yield from _later(about.rule.section, (*path, name, *entry))
