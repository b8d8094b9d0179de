"""The settings file as a tree of texts, each with its line.

Owns YAML, and with it JSON. No scalar is converted here: a price stays the text that was written and never becomes a
float, and a bare `on` or `no` stays that word. Must not know which settings exist.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from gateway.settings.problems import Origin, Problem, Report, SettingsError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 200_000
"""Counted with what aliases stand for: a small file cannot unfold into a huge one."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not take, even in quotes; looked for here because the parser does not say where it stands."""
_PAIR = re.compile(r"\\\\|\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)")
_NULLS = ("", "~", "null", "Null", "NULL")
_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))

Content: TypeAlias = "str | tuple[Node, ...] | Mapping[str, Node] | None"


@dataclass(frozen=True, slots=True)
class Node:
    """A text, nothing (null), a list or a mapping, with the setting's path and where it was written."""

    path: tuple[str, ...]
    origin: Origin
    content: Content

    @property
    def shape(self) -> str:
        """What this is, for an error message."""
        if isinstance(self.content, str):
            return "a text"
        if self.content is None:
            return "nothing"
        return "a list" if isinstance(self.content, tuple) else "a mapping"

    def below(self, *path: str) -> "Node | None":
        """The node at a path of keys below this one."""
        node: Node | None = self
        for key in path:
            node = node.content.get(key) if node is not None and isinstance(node.content, Mapping) else None
        return node

    def put(self, path: tuple[str, ...], leaf: "Node") -> "Node":
        """This tree with a leaf set; where the way there is blocked by a text or a list, unchanged."""
        if not path:
            return leaf
        if self.content is not None and not isinstance(self.content, Mapping):
            return self
        content = dict(self.content or {})
        below = content.get(path[0]) or Node((*self.path, path[0]), leaf.origin, None)
        return replace(self, content={**content, path[0]: below.put(path[1:], leaf)})


def empty(source: str, folder: Path) -> Node:
    """The tree of a file without content."""
    return Node((), Origin(source, None, folder), {})


def parse(text: str, source: str, folder: Path, report: Report) -> Node:
    """The tree of a YAML or JSON text. Raises `SettingsError` if it is broken; keys that stand twice are reported."""
    import yaml  # here: a start without a file needs no YAML

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if strange := _UNPRINTABLE.search(text):
        message = f"the character U+{ord(strange[0]):04X} has no place here"
        raise SettingsError([Problem(_lines(text[: strange.start()]), "", message, None, source)])
    builder = _Builder(source, folder, report)
    try:
        return builder.document(yaml.parse(_for_yaml(text), Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or "it cannot be read"
        line = min(mark.line + 1, _lines(text)) if mark is not None else None  # a missing end is seen a line too late
        raise SettingsError([Problem(line, "", f"this is not YAML: {said}", None, source)]) from None


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _for_yaml(text: str) -> str:
    """A JSON text as YAML takes it: without tabs, and without the two escapes of a character beyond 16 bits."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text  # YAML, or broken, which the YAML parser will say with its line
    return _PAIR.sub(_joined, text.replace("\t", " "))  # between the values only: JSON has no bare tab in a text


def _joined(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[0]  # an escaped backslash
    return bytes.fromhex(match[1] + match[2]).decode("utf-16-be")


class _Builder:
    """Builds the tree from the parser's events: composing with libyaml would crash on a deeply nested text."""

    def __init__(self, source: str, folder: Path, report: Report) -> None:
        self._report = report
        self._source = source
        self._folder = folder
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def document(self, events: Iterator[Any]) -> Node:
        """The one document of a stream; a stream without a document is an empty mapping."""
        next(events)  # the start of the stream
        start = next(events)
        if _is(start, "StreamEnd"):
            return empty(self._source, self._folder)
        first = next(events)
        tree = self._node(first, events, (), None)
        if isinstance(tree.content, str | tuple):
            raise self._broken(first, f"settings are a mapping (`name: value` lines), not {tree.shape}")
        next(events)  # the end of the document
        after = next(events)
        if not _is(after, "StreamEnd"):
            raise self._broken(after, "a second document begins here; settings are one document")
        return tree

    def _node(self, event: Any, events: Iterator[Any], path: tuple[str, ...], line: int | None) -> Node:
        """The node that begins with this event; `line` is that of its key, if it has one."""
        if _is(event, "Alias"):
            return self._aliased(event, path)
        self._count(event)
        if len(path) > MAX_DEPTH:
            raise self._broken(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None and event.tag not in (*_TAGS, "!"):
            raise self._broken(event, "tags (words that begin with `!`) have no meaning here")
        origin = Origin(self._source, line or event.start_mark.line + 1, self._folder)
        node = Node(path, origin, self._content(event, events, path))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: Any, events: Iterator[Any], path: tuple[str, ...]) -> Content:
        if _is(event, "MappingStart"):
            return self._mapping(events, path)
        if _is(event, "SequenceStart"):
            return self._list(events, path)
        text: str = event.value
        plain = event.style in (None, "")
        return None if plain and text in _NULLS else text

    def _mapping(self, events: Iterator[Any], path: tuple[str, ...]) -> Mapping[str, Node]:
        content: dict[str, Node] = {}
        while not _is(event := next(events), "MappingEnd"):
            if not _is(event, "Scalar"):
                raise self._broken(event, "a key must be a plain text")
            if event.value == "<<" and event.style in (None, ""):
                raise self._broken(event, "merge keys (`<<`) are not read; write the settings out")
            key, line = event.value, event.start_mark.line + 1
            node = self._node(next(events), events, (*path, key), line)
            if key in content:
                first = content[key].origin.line
                origin = Origin(self._source, line, self._folder)
                self._report.add((*path, key), origin, f"stands here a second time; the first is in line {first}")
            else:
                content[key] = node
        return content

    def _list(self, events: Iterator[Any], path: tuple[str, ...]) -> tuple[Node, ...]:
        content: list[Node] = []
        while not _is(event := next(events), "SequenceEnd"):
            content.append(self._node(event, events, (*path, str(len(content) + 1)), None))
        return tuple(content)

    def _aliased(self, event: Any, path: tuple[str, ...]) -> Node:
        try:
            node = self._anchors[event.anchor]
        except KeyError:
            raise self._broken(event, f"`*{event.anchor}` stands for nothing that is complete before it") from None
        return self._moved(node, path, event)

    def _moved(self, node: Node, path: tuple[str, ...], event: Any) -> Node:
        """The same content under another path; its lines stay where it was written."""
        self._count(event)
        content = node.content
        if isinstance(content, tuple):
            content = tuple(self._moved(item, (*path, item.path[-1]), event) for item in content)
        elif isinstance(content, Mapping):
            content = {key: self._moved(item, (*path, key), event) for key, item in content.items()}
        return replace(node, path=path, content=content)

    def _count(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._broken(event, f"more than {MAX_NODES} values")

    def _broken(self, event: Any, message: str) -> SettingsError:
        return SettingsError([Problem(event.start_mark.line + 1, "", message, None, self._source)])


def _is(event: Any, kind: str) -> bool:
    return type(event).__name__ == f"{kind}Event"


def read_file(path: Path, report: Report) -> tuple[Node, bytes]:
    """The tree of a file, and the bytes it was read from. Raises `SettingsError` if it cannot be read as one."""
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "name another with --config or TOLLKEEPER_CONFIG"
        raise SettingsError([Problem(None, "", f"cannot be read: {error.strerror}", hint, name)]) from None
    if len(raw) > MAX_BYTES:
        raise SettingsError([Problem(None, "", f"is larger than {MAX_BYTES} bytes", None, name)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError([Problem(line, "", "this is not UTF-8 text", None, name)]) from None
    return parse(text, name, path.absolute().parent, report), raw
