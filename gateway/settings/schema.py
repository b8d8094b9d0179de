"""How a tree of texts becomes frozen sections: the machinery behind `model`, with no setting of its own.

A section is a frozen dataclass whose fields are made with `setting`. Reading goes on after a mistake, so that all of
them are told at once. The reference and the environment variables come from the same fields.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from gateway.settings.problems import Origin, Report, Wrong, did_you_mean, nearest
from gateway.settings.source import Content, Node

T = TypeVar("T")
S = TypeVar("S", bound="Section")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Base of every section."""

    LATER: ClassVar[Mapping[str, str]] = {}
    """Settings of later versions, each with what a refusal says of it: `budgets are`."""


class Default(Enum):
    """Defaults that are not written as a text."""

    REQUIRED = "required"
    FILLED_IN = "filled in"
    """Known only when everything else has been read."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """How one value is read: `read` raises `Wrong`, or reports several mistakes itself and returns what it has."""

    word: str
    """The type, as the reference calls it."""
    read: Callable[[Node, Report], T]
    scalar: bool = True
    """One text states it, so that an environment variable can."""
    section: type[Section] | None = None
    """The section behind it, or behind each of its entries."""
    entry: str | None = None
    """For entries by name: what the reference writes in the place of a name."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the model says about one setting."""

    rule: Rule[Any]
    sentence: str
    default: str | Default | None
    """As it is written in a file; None: not set."""
    shown: str | None
    """What the reference says in the place of the default."""
    takes_others: bool
    """Gets every key of its section that is no other setting."""


def setting(
    rule: Rule[Any],
    sentence: str,
    default: str | Default | None = None,
    *,
    shown: str | None = None,
    takes_others: bool = False,
    secret: bool = False,
) -> Any:
    """A field of a section. `{}` and `[]` are the defaults of sections and lists; a secret is not shown by `repr`."""
    metadata = {"setting": Setting(rule, sentence, default, shown, takes_others)}
    if default is None:
        return field(default=None, metadata=metadata, repr=not secret)
    if isinstance(default, Default):
        return field(metadata=metadata, repr=not secret)
    content: Content = {} if default == "{}" else () if default == "[]" else default
    node = Node((), Origin("default", None, Path()), content)
    return field(default_factory=lambda: rule.read(node, Report()), metadata=metadata, repr=not secret)


def settings_of(section: type[Section]) -> dict[str, Setting]:
    """The settings of a section by name, in the order of the model."""
    return {f.name: f.metadata["setting"] for f in fields(section) if "setting" in f.metadata}


def attempt(rule: Rule[T], node: Node, report: Report) -> T | None:
    """The value of a node, or None after its mistake went to the report."""
    try:
        return rule.read(node, report)
    except Wrong as wrong:
        report.add(node.path, node.origin, wrong.message, wrong.hint)
        return None


def entries_of(node: Node) -> Mapping[str, Node]:
    """The entries of a mapping; nothing counts as an empty one. Raises `Wrong`."""
    if node.content is None:
        return {}
    if not isinstance(node.content, Mapping):
        raise Wrong(f"must be a mapping (`name: value` lines), not {node.shape}")
    return node.content


def read_section(section: type[S], node: Node, report: Report) -> S:
    """A section from its mapping. Where a value was wrong it holds its default or None: it serves further checks only.

    Raises `Wrong` if the node is no mapping.
    """
    known = settings_of(section)
    others = next((name for name, about in known.items() if about.takes_others), None)
    rest: dict[str, Node] = {}
    values: dict[str, Any] = {}
    for key, child in entries_of(node).items():
        if key in known and key != others:
            _take(key, known[key], child, values, report)
        elif key in section.LATER:
            report.add(child.path, child.origin, f"{section.LATER[key]} not in this version")
        elif others is not None and nearest(key, known) is None:
            rest[key] = child
        else:
            hint = did_you_mean(key, (name for name in known if name != others))
            report.add(child.path, child.origin, f"`{key}` is not a setting", hint)
    if others is not None:
        _take(others, known[others], Node(node.path, node.origin, rest), values, report)
    for name, about in known.items():
        if name not in values:
            _leave_out(name, about, node, values, report)
    if any(f.name == "line" for f in fields(section)):
        values["line"] = node.origin.line
    return section(**values)


def _take(name: str, about: Setting, node: Node, values: dict[str, Any], report: Report) -> None:
    value = attempt(about.rule, node, report)
    if value is not None or isinstance(about.default, Default):
        values[name] = value


def _leave_out(name: str, about: Setting, node: Node, values: dict[str, Any], report: Report) -> None:
    if not isinstance(about.default, Default):
        return
    values[name] = None
    if about.default is Default.REQUIRED:
        report.add(node.path, node.origin, f"`{name}` is missing", f"it is {about.rule.word}")
    elif about.rule.section is not None:
        values[name] = about.rule.read(Node((*node.path, name), node.origin, {}), report)


def section(kind: type[S]) -> Rule[S]:
    """A section of fixed settings."""
    return Rule("section", lambda node, report: read_section(kind, node, report), scalar=False, section=kind)


def listing(rule: Rule[T], word: str) -> Rule[tuple[T, ...]]:
    """A list, every entry by the same rule."""

    def read(node: Node, report: Report) -> tuple[T, ...]:
        if not isinstance(node.content, tuple):
            raise Wrong(f"must be a list, not {node.shape}")
        return tuple(value for item in node.content if (value := attempt(rule, item, report)) is not None)

    return Rule(word, read, scalar=False)


def mapping(rule: Rule[T], entry: str, check: Callable[[str], object]) -> Rule[Mapping[str, T]]:
    """Values by name; `check` raises `Wrong` for a name that cannot be one."""

    def read(node: Node, report: Report) -> Mapping[str, T]:
        found: dict[str, T] = {}
        for name, child in entries_of(node).items():
            try:
                check(name)
            except Wrong as wrong:
                report.add(child.path, child.origin, wrong.message, wrong.hint)
                continue
            value = attempt(rule, child, report)
            if value is not None:
                found[name] = value
        return found

    return Rule(rule.word, read, scalar=False, entry=entry)


def named(kind: type[S], entry: str, check: Callable[[str], object]) -> Rule[Mapping[str, S]]:
    """Sections by name."""
    return replace(mapping(section(kind), entry, check), section=kind)
