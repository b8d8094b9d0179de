"""The file as a tree of texts with their lines."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import SettingsError
from gateway.settings.problems import Report
from gateway.settings.source import MAX_BYTES, Node, parse, read_file


def tree(text: str) -> Node:
    report = Report()
    node = parse(text, "f.yaml", Path("/etc"), report)
    report.raise_if_any()
    return node


def plain(node: Node) -> object:
    if isinstance(node.content, tuple):
        return [plain(item) for item in node.content]
    if isinstance(node.content, str) or node.content is None:
        return node.content
    return {key: plain(child) for key, child in node.content.items()}


def mistake(text: str) -> tuple[int | None, str]:
    with pytest.raises(SettingsError) as caught:
        tree(text)
    [problem] = caught.value.problems
    assert problem.source == "f.yaml"
    return problem.line, problem.message


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "true", "0.05", "1e3", "017", "1_000", "2027-01-31", "12:30"]
)
def test_a_bare_word_stays_the_text_that_was_written(word: str) -> None:
    assert plain(tree(f"a: {word}")) == {"a": word}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_a_file_without_content_is_an_empty_mapping(text: str) -> None:
    assert not plain(tree(text))


@pytest.mark.parametrize(
    ("written", "value"), [("", None), ("~", None), ("null", None), ('""', ""), ('"null"', "null")]
)
def test_nothing_is_not_an_empty_text(written: str, value: str | None) -> None:
    assert plain(tree(f"a: {written}")) == {"a": value}


def test_every_node_knows_its_line_and_path() -> None:
    node = tree("server:\n  port: 1\nmodels:\n  fast:\n    targets:\n      - a/b\n      - c/d\n")
    port = node.below("server", "port")
    targets = node.below("models", "fast", "targets")
    assert port is not None
    assert targets is not None
    assert (port.origin.line, port.path) == (2, ("server", "port"))
    assert targets.origin.line == 5
    assert isinstance(targets.content, tuple)
    assert [(item.origin.line, item.path[-1]) for item in targets.content] == [(6, "1"), (7, "2")]


def test_keys_that_stand_twice_are_all_reported() -> None:
    report = Report()
    node = parse("a: 1\nb: {c: 1,\n  c: 2}\na: 3\n", "f.yaml", Path(), report)
    assert [str(problem) for problem in report.problems] == [
        "f.yaml:3: b.c: stands here a second time; the first is in line 2",
        "f.yaml:4: a: stands here a second time; the first is in line 1",
    ]
    assert plain(node) == {"a": "1", "b": {"c": "1"}}


def test_an_alias_stands_for_what_it_names_under_its_own_path() -> None:
    node = tree("a: &x {k: [1]}\nb: *x\n")
    again = node.below("b", "k")
    assert plain(node) == {"a": {"k": ["1"]}, "b": {"k": ["1"]}}
    assert again is not None
    assert (again.path, again.origin.line) == (("b", "k"), 1)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: [1", 1, "this is not YAML"),
        ("a: b\n  c: d", 2, "this is not YAML"),
        ("a: 1\nb: \x07", 2, "U+0007"),
        ("- a", 1, "settings are a mapping"),
        ("just text", 1, "settings are a mapping"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a:\n  b: !!python/object:os.system x", 2, "tags"),
        ("a: !secret x", 1, "tags"),
        ("{a: 1, [b]: 2}", 1, "a key must be a plain text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", 3, "merge keys"),
        ("a: *x", 1, "stands for nothing"),
        ("a: &x [*x]", 1, "stands for nothing"),
        ('a: "\\ud800"', 1, "this is not YAML"),
        ("[" * 100_000, 1, "nested deeper"),
    ],
)
def test_a_broken_file_says_where(text: str, line: int, said: str) -> None:
    found, message = mistake(text)
    assert said in message
    assert found == line


def test_a_small_file_does_not_unfold_into_a_huge_one() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than" in mistake("\n".join(lines))[1]


def test_two_escapes_of_one_character_are_that_character() -> None:
    assert plain(tree('{"a": "\\ud83d\\ude00 \\\\ud83d"}')) == {"a": "\U0001f600 \\ud83d"}


def test_json_indented_with_tabs_is_read() -> None:
    assert plain(tree('{\n\t"a":\t{"b": [1, true, null]}\n}')) == {"a": {"b": ["1", "true", None]}}


def test_a_tab_in_a_text_of_yaml_is_kept() -> None:
    assert plain(tree("{a: 'x\ty'}")) == {"a": "x\ty"}


KEYS = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=20)
JSON = st.recursive(
    KEYS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(KEYS, JSON, max_size=4), st.booleans())
def test_json_of_texts_is_read_as_it_is(value: dict[str, object], ascii_only: bool) -> None:
    assert plain(tree(json.dumps(value, ensure_ascii=ascii_only))) == value


@given(st.text(max_size=80))
def test_any_text_is_a_mapping_or_a_stated_mistake(text: str) -> None:
    try:
        read = bool(plain(tree(text)) is None or isinstance(tree(text).content, dict))
    except SettingsError as error:
        read = bool(error.problems)
    assert read


def test_a_leaf_is_put_where_its_path_leads() -> None:
    node = tree("a: {b: 1}\nc: text\n")
    leaf = Node(("a", "x"), node.origin, "2")
    assert plain(node.put(("a", "x"), leaf)) == {"a": {"b": "1", "x": "2"}, "c": "text"}
    assert plain(node.put(("n", "x"), leaf)) == {"a": {"b": "1"}, "c": "text", "n": {"x": "2"}}
    assert plain(node.put(("c", "x"), leaf)) == {"a": {"b": "1"}, "c": "text"}


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"a: 1\nb: \xff", "line 2"), (b"#" * (MAX_BYTES + 1), "larger"), (None, "No such file")],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, raw: bytes | None, said: str) -> None:
    file = tmp_path / "f.yaml"
    if raw is not None:
        file.write_bytes(raw)
    with pytest.raises(SettingsError) as caught:
        read_file(file, Report())
    [problem] = caught.value.problems
    assert said in f"line {problem.line} {problem.message}"
    assert problem.source == str(file)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    node, raw = read_file(file, Report())
    assert plain(node) == {"a": "1", "b": "2"}
    assert raw == file.read_bytes()
    assert node.origin.folder == tmp_path
