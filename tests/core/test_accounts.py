"""The text under which a subject is counted: short and one line, and never that of another subject."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accounts import ACCOUNT_MAX, SUBJECT_MAX, Account, places_of, short, shortened


@given(st.text(st.characters(codec=None), max_size=400))
def test_any_subject_fits_its_room(subject: str) -> None:
    told = short(subject)
    assert len(told.encode()) <= SUBJECT_MAX
    assert told.isprintable()
    assert len(orjson.dumps(["b" * 64, told, 2**62])) <= ACCOUNT_MAX


@given(st.text(max_size=40).filter(str.isprintable))
def test_a_usual_subject_stays_as_it_is(subject: str) -> None:
    assert short(subject) == subject


def test_long_subjects_that_begin_alike_stay_apart() -> None:
    assert short("session=" + "a" * 300) != short("session=" + "a" * 301)
    assert short("session=" + "a" * 300).startswith("session=aaaa")


def test_places_are_those_in_the_list() -> None:
    one, other = Account("a", "everything", 0), Account("b", "everything", 0)
    assert places_of([other, one], [one, other]) == (1, 0)


@given(st.text(max_size=200))
def test_a_subject_that_was_shortened_is_known_by_its_form(subject: str) -> None:
    told = short(subject)
    whole = "".join(one if one.isprintable() else f"%{ord(one):02X}" for one in subject)
    assert shortened(told) is (told != whole)
    assert not shortened(f"key=ci~{24 * 'a'}")
