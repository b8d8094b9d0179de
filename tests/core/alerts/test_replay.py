"""The past by the same code as the present."""

from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.alerts.anomaly import Anomaly
from gateway.core.alerts.courses import Courses
from gateway.core.alerts.facts import MINUTE_US, Minute
from gateway.core.alerts.prices import PriceUnknown
from gateway.core.alerts.replay import replay, replay_async
from gateway.core.alerts.runaway import Runaway
from gateway.core.alerts.service import Errors
from gateway.core.alerts.threshold import Threshold
from gateway.core.budgets import Budget
from gateway.core.calls import End
from gateway.core.windows import Window
from tests.core.alerts.traffic import DAY, START_US, USD, at, call, found, minute

UNKNOWN = PriceUnknown("unknown")


def test_the_minutes_before_are_there_to_learn_from() -> None:
    minutes = [minute(n, call(n, None)) for n in (5, DAY + 5)]
    done = replay(UNKNOWN, minutes, START_US + DAY * MINUTE_US)

    assert [at(finding) for finding in done.findings] == [DAY + 5]
    assert (done.minutes, done.calls) == (2, 2)
    assert "1 calls of unknown cost" in done.watch.explain("target=openai/fast")


def test_budgets_stand_where_the_calls_bring_them() -> None:
    budget = Budget("all", 10 * USD, Window.MONTH, alert_at=(50, 100))
    minutes = [minute(n, call(n, 1.0)) for n in range(12)]
    done = replay(Threshold("spent", "all"), minutes, 0, Courses([budget], {"UTC": ZoneInfo("UTC")}))

    assert [(at(finding), finding.facts["percent"]) for finding in done.findings] == [(4, 50), (9, 100)]


@pytest.mark.anyio
async def test_minutes_may_be_read_meanwhile() -> None:
    async def read() -> AsyncIterator[Minute]:
        for number in range(3):
            yield minute(number, call(number, None))

    assert len((await replay_async(UNKNOWN, read())).findings) == 1


traffic = st.lists(
    st.tuples(
        st.integers(0, 3 * DAY), st.sampled_from([0.0, 0.5, 20.0, None]), st.sampled_from("ab"), st.sampled_from(End)
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(traffic)
def test_live_and_replay_find_the_same_and_nothing_twice(calls: list[tuple[int, float | None, str, End]]) -> None:
    """Known fault 46."""
    by_minute: dict[int, list[tuple[float | None, str, End]]] = {}
    for number, usd, key, end in calls:
        by_minute.setdefault(number, []).extend([(usd, key, end)] * 12)
    minutes = [
        minute(number, *(call(number, usd, key, key, input_tokens=9000, end=end) for usd, key, end in some))
        for number, some in sorted(by_minute.items())
    ]
    for rule in (Anomaly("a"), Runaway("r"), Errors("e"), UNKNOWN):
        live = found(rule, minutes)
        assert list(replay(rule, minutes).findings) == live
        assert len({(one.subject, one.window) for one in live}) == len(live)
        assert all(one.because and one.rule == rule.name for one in live)
