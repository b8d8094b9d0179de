"""Dead letters: appended, counted, and never in the way."""

import json
from dataclasses import replace
from pathlib import Path

from gateway.storage.dead_letters import DeadLetters
from tests.storage.calls import a_call, call_id, with_facts


def test_without_letters_there_is_no_file(tmp_path: Path) -> None:
    assert DeadLetters(tmp_path / "none").count == 0
    assert list(tmp_path.iterdir()) == []


def test_letters_are_appended_with_their_reasons(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "journal")
    letters.add([(a_call(1), "too large"), (a_call(2), "too long")], at_us=7)
    letters.add([(a_call(3), "too odd")], at_us=8)
    lines = [json.loads(line) for line in letters.path.read_text().splitlines()]
    assert [(line["at_us"], line["reason"]) for line in lines] == [(7, "too large"), (7, "too long"), (8, "too odd")]
    assert [line["record"]["facts"]["id"] for line in lines] == [call_id(1), call_id(2), call_id(3)]
    assert lines[0]["record"]["attempts"][0]["usage"]["input"] == 200


def test_a_call_has_one_letter(tmp_path: Path) -> None:
    """It comes again if the commit after the letter did not come about, be it to another process."""
    letters = DeadLetters(tmp_path)
    letters.add([(a_call(1), "no"), (a_call(2), "no")], at_us=7)
    letters.add([(a_call(2), "no"), (a_call(3), "no")], at_us=8)
    DeadLetters(tmp_path).add([(a_call(1), "no"), (a_call(4), "no")], at_us=9)
    letters.add([(a_call(4), "no")], at_us=10)
    lines = [json.loads(line) for line in letters.path.read_text().splitlines()]
    assert [line["record"]["facts"]["id"] for line in lines] == [call_id(number) for number in (1, 2, 3, 4)]
    assert letters.count == DeadLetters(tmp_path).count == 4


def test_a_letter_whose_writer_died_in_the_middle_is_written_anew(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path)
    letters.add([(a_call(1), "no"), (a_call(2), "no")], at_us=7)
    whole = letters.path.read_bytes()
    letters.path.write_bytes(whole[:-10])
    assert DeadLetters(tmp_path).count == 1
    DeadLetters(tmp_path).add([(a_call(2), "no")], at_us=7)
    assert letters.path.read_bytes() == whole


def test_letters_that_were_moved_away_are_begun_anew(tmp_path: Path) -> None:
    """As `tollkeeper doctor` advises; lines of other people's are left as they are."""
    letters = DeadLetters(tmp_path)
    letters.add([(a_call(1), "no")], at_us=7)
    letters.path.rename(tmp_path / "seen.jsonl")
    letters.path.write_text('"seen until here"\n')
    letters.add([(a_call(2), "no"), (a_call(1), "again")], at_us=8)
    first, *lines = letters.path.read_text().splitlines()
    assert first == '"seen until here"'
    assert [json.loads(line)["record"]["facts"]["id"] for line in lines] == [call_id(2), call_id(1)]
    assert letters.count == 3


def test_the_count_outlives_the_process(tmp_path: Path) -> None:
    DeadLetters(tmp_path).add([(a_call(1), "no")], at_us=7)
    assert DeadLetters(tmp_path).count == 1


def test_whatever_is_in_a_record_can_be_written(tmp_path: Path) -> None:
    odd = replace(with_facts(a_call(1), model="\ud800\n", labels={"a": object()}), status=2**80)
    letters = DeadLetters(tmp_path)
    letters.add([(odd, "\udfff")], at_us=7)
    (line,) = letters.path.read_text().splitlines()
    assert json.loads(line)["record"]["status"] == 2**80
