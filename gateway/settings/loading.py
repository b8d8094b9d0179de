"""From a file and the environment to settings: which file, in which order, and all mistakes at once."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway.settings.addresses import check_no_password
from gateway.settings.checks import check
from gateway.settings.defaults import fill_in
from gateway.settings.environment import CONFIG, overlay, providers_from_environment
from gateway.settings.model import Settings
from gateway.settings.problems import Report, SettingsError, Wrong
from gateway.settings.schema import read_section
from gateway.settings.secret_refs import parse_reference
from gateway.settings.source import Node, empty, read_file

USUAL_FILE = Path("tollkeeper.yaml")


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a file, with the environment's over them.

    `path` None: the file that `TOLLKEEPER_CONFIG` names, else `tollkeeper.yaml` in the working directory, else none.
    Raises `SettingsError` with every mistake. Secrets are not looked up, except a database address behind a reference.
    """
    file = _file(path, environ)
    report = Report()
    tree, raw = read_file(file, report) if file is not None else (empty("settings", Path.cwd()), b"")
    tree = overlay(tree, environ, report)
    tree = _followed(tree, environ, report)
    settings = _read(fill_in(tree), environ, report)
    if file is None:
        return settings
    return replace(settings, source=str(file), file=file.absolute(), file_digest=hashlib.sha256(raw).hexdigest())


def _file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environ.get(CONFIG):
        return Path(named)
    return USUAL_FILE if USUAL_FILE.exists() else None


def _followed(tree: Node, environ: Mapping[str, str], report: Report) -> Node:
    """The tree with a reference to the database's address replaced by that address."""
    section, node = tree.below("database"), tree.below("database", "url")
    if section is None or node is None or not isinstance(node.content, str) or not isinstance(section.content, Mapping):
        return tree
    try:
        if not node.content.startswith(("env:", "file:")):
            check_no_password(node.content)
            return tree
        text = parse_reference(node.content, node.path, node.origin).resolve(environ)
    except Wrong as wrong:
        report.add(node.path, node.origin, wrong.message, wrong.hint)
    except SettingsError as error:
        report.problems.extend(error.problems)
    else:
        return tree.put(node.path, replace(node, content=text))
    others = {key: child for key, child in section.content.items() if child is not node}
    return tree.put(section.path, replace(section, content=others))


def _read(tree: Node, environ: Mapping[str, str], report: Report) -> Settings:
    settings = read_section(Settings, tree, report)
    given = tree.below("providers")
    if given is None or not given.content:
        try:
            found = providers_from_environment(environ)
        except SettingsError as error:
            report.problems.extend(error.problems)
        else:
            settings = replace(settings, providers=found.providers, notes=found.notes)
    check(settings, tree, report)
    report.raise_if_any()
    return settings
