"""Where budgets stood, from the calls alone."""

from zoneinfo import ZoneInfo

from gateway.core.alerts.courses import Courses
from gateway.core.budgets import Budget
from gateway.core.scopes import Scope
from gateway.core.windows import Window
from tests.core.alerts.traffic import DAY, START_US, USD, call

ALL = Budget("all", 100 * USD, Window.DAY, alert_at=(50,))
EACH = Budget("each", 10 * USD, Window.MONTH, scope=Scope((("key", "*"),)))


def test_each_account_adds_up_and_begins_anew_with_its_window() -> None:
    courses = Courses([ALL, EACH], {"UTC": ZoneInfo("UTC")})
    first = courses.add([call(0, 1), call(0, 2, key="web"), call(0, 0), call(0, None)], START_US + 60_000_000)
    later = courses.add([call(DAY, 4)], START_US + (DAY + 1) * 60_000_000)

    assert {(one.budget, one.subject): one.spent_nano for one in first} == {
        ("all", "everything"): 3 * USD,
        ("each", "key=ci"): USD,
        ("each", "key=web"): 2 * USD,
    }
    assert {(one.budget, one.subject): one.spent_nano for one in later} == {
        ("all", "everything"): 4 * USD,
        ("each", "key=ci"): 5 * USD,
    }
    assert first[0].alert_at == (50,)
    assert later[0].span.start_us == START_US + DAY * 60_000_000


def test_a_minute_without_cost_moves_nothing() -> None:
    assert Courses([ALL], {"UTC": ZoneInfo("UTC")}).add([call(0, 0)], START_US) == []
