"""A journal for whoever asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.journal import JournalWriter
from tests.storage.journals import MIB


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    """Small segments, so that they turn over often."""
    writer = JournalWriter(tmp_path, max_bytes=256 * MIB, segment_bytes=256 * 1024)
    await writer.start()
    yield writer
    await writer.stop()
