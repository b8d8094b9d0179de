"""The rules of the house that no linter knows: mirrored names, sizes, docstrings, and that the docs know the code.

Every failure says which rule, where, and why the rule is there.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
GATEWAY = HOUSE / "gateway"
TESTS = HOUSE / "tests"
THIS = Path(__file__)

MODULE_LINES = 400
FUNCTION_LINES = 60
PIPELINE_LINES = 40
IGNORES_PER_1000_LINES = 2

MODULES = sorted(GATEWAY.rglob("*.py"))
TEST_FILES = sorted(TESTS.rglob("*.py"))
SOURCES = sorted(chain(MODULES, TEST_FILES, HOUSE.glob("migrations/**/*.py"), HOUSE.glob("benchmarks/**/*.py")))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def parsed(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complain(rule: str, offenders: list[str]) -> None:
    if offenders:
        pytest.fail(rule + "\n  " + "\n  ".join(offenders), pytrace=False)


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_modules_are_read_in_one_sitting() -> None:
    lines = {path: len(text_of(path).splitlines()) for path in SOURCES}
    complain(
        f"No module is longer than {MODULE_LINES} lines; past 300 it becomes a folder of the same name:",
        [f"{name_of(path)}: {count} lines" for path, count in lines.items() if count > MODULE_LINES],
    )


def test_functions_do_one_thing() -> None:
    complain(
        f"No function is longer than {FUNCTION_LINES} lines:",
        [
            f"{name_of(path)}:{node.lineno} {node.name}: {length(node)} lines"
            for path in SOURCES
            for node in functions(parsed(path))
            if length(node) > FUNCTION_LINES
        ],
    )


def test_the_pipeline_fits_one_screen() -> None:
    pipeline = GATEWAY / "proxy" / "pipeline.py"
    complain(
        f"What happens to a call must be readable at a glance, {PIPELINE_LINES} lines at most:",
        [f"{node.name}: {length(node)} lines" for node in functions(parsed(pipeline)) if length(node) > PIPELINE_LINES],
    )


# --- words ------------------------------------------------------------------------------------------------------------


def test_every_module_says_what_it_owns() -> None:
    complain(
        "A module's docstring says what it owns and what it must not know:",
        [name_of(path) for path in MODULES if not (ast.get_docstring(parsed(path)) or "").strip()],
    )


FORBIDDEN_IN_TESTS = {
    r"monkeypatch\.(setattr|delattr|setitem)|mock\.patch|mocker\.|patch\.object|unittest\.mock": (
        "Nothing is patched: build the app with fakes through the same door"
    ),
    r"pytest\.(skip|xfail|importorskip)|mark\.(skip|skipif|xfail)": "A test that does not run holds nothing",
    r"^class Test": "Tests are plain functions",
}


@pytest.mark.parametrize("pattern", FORBIDDEN_IN_TESTS)
def test_tests_are_honest(pattern: str) -> None:
    found = re.compile(pattern, re.MULTILINE)
    complain(
        FORBIDDEN_IN_TESTS[pattern] + ":",
        [name_of(path) for path in TEST_FILES if path != THIS and found.search(text_of(path))],
    )


def test_type_ignores_are_rare() -> None:
    lines = [line for path in MODULES for line in text_of(path).splitlines()]
    ignores = [line for line in lines if "type: ignore" in line]
    allowed = len(lines) * IGNORES_PER_1000_LINES / 1000
    assert len(ignores) <= allowed, f"{len(ignores)} of `type: ignore`, {allowed:.0f} allowed for {len(lines)} lines"


LEAVES_THE_HOUSE = re.compile(
    r"/(work|root|opt/pypi|opt/wheels)/|/home/(?!you\b|user\b)\w|/Users/\w|\bTODO\b|\bFIXME\b|\bXXX\b"
)
TEXT = ("*.py", "*.md", "*.toml", "*.lock", "*.yaml", "*.yml", "*.ini", "*.mako", "Makefile", ".ci/*")
NOT_OURS = {".venv", ".git", "node_modules", "recordings", ".hypothesis", "dist", "build"}


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    texts = {path for pattern in TEXT for path in HOUSE.rglob(pattern) if path.is_file()}
    ours = sorted(path for path in texts if path != THIS and not NOT_OURS & set(path.relative_to(HOUSE).parts))
    complain(
        "No path of a machine, and nothing left to do later:",
        [f"{name_of(path)}: {hit.group()}" for path in ours if (hit := LEAVES_THE_HOUSE.search(text_of(path)))],
    )


# --- mirrored names ---------------------------------------------------------------------------------------------------


def has_logic(path: Path) -> bool:
    """Whether a module does something: a function, or a method of a class that is no protocol."""
    body = parsed(path).body
    classes = [
        node for node in body if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases)
    ]
    return any(isinstance(node, Function) for node in chain(body, *(kind.body for kind in classes)))


def mirrors(path: Path) -> list[Path]:
    """Where a module's tests may be: under its name, the noun that begins it (`journal_reader`: `test_journal`),
    or the folder that it is a part of."""
    *folders, name = path.relative_to(GATEWAY).with_suffix("").parts
    words = name.split("_")
    nouns = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    own = [TESTS.joinpath(*folders, f"test_{noun}.py") for noun in nouns]
    above = [TESTS.joinpath(*folders[:depth], f"test_{folders[depth]}.py") for depth in range(1, len(folders))]
    return own + above


def test_every_module_with_logic_has_a_test_of_its_name() -> None:
    complain(
        "Tests mirror the source, so that one finds the other (gateway/a/b.py: tests/a/test_b.py):",
        [
            f"{name_of(path)}: expected {' or '.join(map(name_of, mirrors(path)))}"
            for path in MODULES
            if path.name != "__init__.py" and has_logic(path) and not any(test.exists() for test in mirrors(path))
        ],
    )


def test_every_test_has_a_name_of_its_own() -> None:
    """Without the `__init__.py` two tests of the same name in two folders hide each other."""
    folders = {path.parent for path in TEST_FILES}
    complain(
        "Every folder of tests is a package:",
        [name_of(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()],
    )


# --- the docs know the code -------------------------------------------------------------------------------------------


def documentation() -> str:
    return "\n".join(text_of(path) for path in [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))])


def test_every_error_is_documented() -> None:
    from gateway.core.errors import Kind

    text = documentation()
    complain(
        "Whoever gets an error must be able to look it up in README.md or docs/:",
        [kind.value for kind in Kind if f"`{kind.value}`" not in text],
    )


def test_every_command_is_documented() -> None:
    complain(
        "Whoever reads README.md or docs/ must learn of every command:",
        [f"tollkeeper {command}" for command in commands() if f"tollkeeper {command}" not in documentation()],
    )


def commands() -> list[str]:
    """Every command that `--help` shows, without `tollkeeper`."""
    import typer

    from gateway.cli.commands import app

    def below(group: typer.core.TyperGroup, words: tuple[str, ...]) -> Iterator[str]:
        for name, command in group.commands.items():
            does_something = not isinstance(command, typer.core.TyperGroup) or command.invoke_without_command
            if does_something and not command.hidden:
                yield " ".join((*words, name))
            if isinstance(command, typer.core.TyperGroup):
                yield from below(command, (*words, name))

    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    return sorted(below(root, ()))


# --- what is installed ------------------------------------------------------------------------------------------------

PIN = re.compile(
    r"^([a-z0-9][a-z0-9._-]*)==(\S+)((?: ;[^\\\n]*)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
STOLEN = {("litellm", "1.82.7"), ("litellm", "1.82.8")}


def pins(lock: str) -> dict[str, str]:
    return {name: version for name, version, _, _ in PIN.findall((HOUSE / lock).read_text(encoding="utf-8"))}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_everything_by_hash_and_nothing_by_place(lock: str) -> None:
    """Known fault 75: what is installed is what was looked at."""
    text = (HOUSE / lock).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins(lock)) == len(lines), "a line of the lock is not a pin with hashes"
    assert not re.search(r"://|file:|--(index|extra|find)", text), "the lock names a place; every machine has its own"
    assert not STOLEN & set(pins(lock).items())


def needs(group: str | None = None) -> set[str]:
    """The names of the distributions that the project asks for."""
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][group] if group else project["dependencies"]
    return {re.split(r"[\[<>=!; ]", line)[0].lower() for line in lines}


def test_locks_agree_with_each_other_and_with_the_project() -> None:
    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: development.get(name) for name in runtime} == runtime
    assert needs() <= set(runtime), f"not in requirements.lock, say `make lock`: {needs() - set(runtime)}"
    missing = needs("test") - set(development)
    assert not missing, f"not in requirements-dev.lock, say `make lock`: {missing}"


DATA_OR_DRIVER = {
    "litellm": "read as files, never imported",
    "aiosqlite": "named in the database's address",
    "tzdata": "found by zoneinfo where the machine has no zones",
}


def test_what_is_imported_is_asked_for_and_the_other_way_round() -> None:
    """What comes along with something else may leave with it; what nobody uses is a risk for nothing."""
    distributions = packages_distributions()
    roots = {root for path in MODULES for root in imported(parsed(path))} - {"gateway", *sys.stdlib_module_names}
    used = {re.sub(r"[._]", "-", distributions[root][0]).lower() for root in roots}
    assert used - needs() == needs("postgres"), "imported, but not asked for in pyproject.toml; or the other way round"
    assert needs() - used == set(DATA_OR_DRIVER), "asked for in pyproject.toml, but never imported"


def imported(tree: ast.Module) -> Iterator[str]:
    """The root packages that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_litellm_is_pinned_to_what_the_lock_holds() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"litellm=={pins('requirements.lock')['litellm']}" in project["dependencies"]
