"""What the file declares comes first in a list, and a change that cannot be put in force at once is not lost."""

import pytest

from gateway.control.declared import cursor_in_file, place_in_file, put_in_force, refuse_declared, refuse_taken
from gateway.core.errors import Fault, Kind


class Known:
    """A store that notes whether it was asked, and may fail."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.asked = 0

    async def refresh(self) -> bool:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return True


@pytest.mark.parametrize(
    ("cursor", "place"),
    [(None, 0), ("file.50", 50), ("17", None), ("file.", None), ("file.x", None), ("file.\u0663", None)],
)
def test_a_cursor_in_the_file(cursor: str | None, place: int | None) -> None:
    assert place_in_file(cursor) == place


def test_a_cursor_leads_back() -> None:
    assert place_in_file(cursor_in_file(50)) == 50


@pytest.mark.anyio
async def test_a_store_that_fails_is_left_to_refresh_itself() -> None:
    first, failing, last = Known(), Known(Fault(Kind.UNAVAILABLE, "away")), Known()
    await put_in_force(first, failing, last)
    assert (first.asked, failing.asked, last.asked) == (1, 1, 0)


def test_refusals_say_where_to_change_it() -> None:
    with pytest.raises(Fault, match="the key ci is declared in the settings file and cannot be changed here") as told:
        refuse_declared("the key ci", "tollkeeper.yaml, line 3")
    assert (told.value.kind, told.value.hint) == (Kind.CONFLICT, "change it there: tollkeeper.yaml, line 3")
    with pytest.raises(Fault, match="the settings file declares a key ci"):
        refuse_taken("a key ci")
