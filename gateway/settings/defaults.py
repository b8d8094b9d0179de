"""Defaults that follow from other settings, put into the tree as if they had been written beside them.

So they are read, checked and told like everything else, with the place that they come from.
"""

from collections.abc import Mapping
from pathlib import Path

from gateway.settings.addresses import sqlite_address
from gateway.settings.names import KINDS
from gateway.settings.source import Content, Node


def default_data_folder() -> Path:
    """`tollkeeper` in the platform's folder for user data."""
    from platformdirs import user_data_path  # here: most servers name their folder

    return user_data_path() / "tollkeeper"


def fill_in(tree: Node) -> Node:
    """The tree with the data folder, what lies in it, and every provider's kind."""
    data = tree.below("server", "data")
    if data is None:
        data = Node(("server", "data"), tree.origin, str(default_data_folder()))
        tree = tree.put(data.path, data)
    if isinstance(data.content, str):
        tree = _default(tree, data, ("database", "url"), sqlite_address(Path(data.content)))
        tree = _default(tree, data, ("database", "journal"), str(Path(data.content) / "journal"))
    for name, provider in _entries(tree.below("providers")):
        tree = _default(tree, provider, ("providers", name, "kind"), name if name in KINDS else "openai")
        kind = tree.below("providers", name, "kind")
        if kind is not None and kind.content == "simulated":
            tree = _default(tree, provider, ("providers", name, "simulate"), {})
    return tree


def _default(tree: Node, source: Node, path: tuple[str, ...], content: Content) -> Node:
    if tree.below(*path) is not None:
        return tree
    return tree.put(path, Node(path, source.origin, content))


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    return list(node.content.items()) if node is not None and isinstance(node.content, Mapping) else []
