"""The schema's documentation names every table and every column, in their order, and nothing else."""

import re
from pathlib import Path

from gateway.core.usage import BUCKETS
from gateway.storage.tables import DIMENSIONS, TIMINGS, calls, metadata, rollups_hourly

SCHEMA = Path(__file__).parents[2] / "docs" / "schema.md"


def documented() -> dict[str, list[str]]:
    """Columns by table, as the document lists them."""
    sections = re.split(r"^## ", SCHEMA.read_text(), flags=re.MULTILINE)[1:]
    tables = {section.split("\n", 1)[0]: re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) for section in sections}
    return {name: columns for name, columns in tables.items() if columns}


def test_the_document_and_the_tables_agree() -> None:
    assert documented() == {table.name: [column.name for column in table.c] for table in metadata.sorted_tables}


def test_every_bucket_dimension_and_timing_has_its_column() -> None:
    for name in (*BUCKETS, *DIMENSIONS):
        assert name in calls.c
        assert name in rollups_hourly.c
    assert all(name in calls.c for name in TIMINGS)


def test_money_is_never_a_float() -> None:
    for table in metadata.sorted_tables:
        for column in table.c:
            if column.name.endswith(("_nano", "_us")):
                assert column.type.python_type is int, f"{table.name}.{column.name}"
