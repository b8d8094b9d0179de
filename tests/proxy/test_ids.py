"""Call ids are UUIDs of version 7 that sort by time."""

import uuid

from gateway.proxy.ids import new_id


def test_a_uuid_of_version_7_with_its_time() -> None:
    now_us = 1_795_416_724_155_480
    made = uuid.UUID(new_id(now_us))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_us // 1000
    assert str(made) == new_id(now_us)[:14] + str(made)[14:]


def test_ids_sort_by_arrival_and_do_not_repeat() -> None:
    ids = [new_id(n * 1000) for n in range(1, 500)]
    assert ids == sorted(ids)
    assert len({new_id(5) for _ in range(1000)}) == 1000
