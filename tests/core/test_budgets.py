"""Which budgets bind a call, in which account and window."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.accounts import Account
from gateway.core.budgets import Binding, Budget, Budgets, Mode, Raise
from gateway.core.calls import CallFacts
from gateway.core.scopes import Scope, scope_of, seen_of, subject_of
from gateway.core.windows import Window

NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
MARCH = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
CALL = CallFacts("id", NOON, "/v1/chat/completions", "k1", "ci", "search", {"env": "prod"}, None, None, "fast")
DAY = 86_400_000_000
ZONES = {zone: ZoneInfo(zone) for zone in ("UTC", "Europe/Berlin")}


def budget(name: str, *parts: tuple[str, str], window: Window = Window.MONTH, zone: str = "UTC") -> Budget:
    return Budget(name, 1_000_000_000, window, zone, scope=scope_of(parts))


def binding(*budgets: Budget, call: CallFacts = CALL) -> list[Account]:
    return [bound.account for bound in Budgets(budgets, ZONES).binding(call, "openai/gpt-4o", "openai").bounds]


def test_without_budgets_nothing_binds() -> None:
    assert binding() == []


def test_all_that_bind_are_found_in_the_order_of_their_names() -> None:
    found = binding(
        budget("team", ("team", "search")),
        budget("other-team", ("team", "ads")),
        budget("each-key", ("key", "*"), ("provider", "openai")),
        budget("all"),
    )
    assert found == [
        Account("all", "everything", MARCH),
        Account("each-key", "key=ci", MARCH),
        Account("team", "everything", MARCH),
    ]


def test_a_call_belongs_to_the_window_of_its_start() -> None:
    late = replace(CALL, started_us=MARCH - 1)
    daily = budget("daily", window=Window.DAY, zone="Europe/Berlin")
    budgets = Budgets([daily], ZONES)
    first, second = (budgets.binding(call, "t", "p").bounds[0] for call in (late, CALL))
    assert first.account.window_start_us == MARCH - 3_600_000_000
    assert first.account == second.account
    assert budgets.binding(replace(CALL, started_us=MARCH - 3_600_000_001), "t", "p").bounds[0].account != first.account
    assert budgets.binding(CALL, "t", "p").bounds[0].account == first.account


def test_a_raise_holds_until_it_ends() -> None:
    raised = replace(budget("all"), raised=Raise(500, NOON))
    assert [raised.limit_at(at) for at in (NOON - 1, NOON)] == [1_000_000_500, 1_000_000_000]


DIMENSIONS = ["key", "team", "model", "session", "end_user", "target", "provider", "tag:env"]


def test_what_a_rule_lowers_it_to_holds_over_a_raise_and_raises_nothing() -> None:
    low = replace(budget("all"), raised=Raise(500, NOON), lowered_nano=7)
    assert [low.limit_at(at) for at in (NOON - 1, NOON)] == [7, 7]
    assert replace(low, lowered_nano=2_000_000_000).limit_at(NOON) == 1_000_000_000


values = st.sampled_from(["a", "b", "*"])
parts = st.dictionaries(st.sampled_from(DIMENSIONS), values, max_size=4)
calls = st.builds(
    lambda key, team, model, env, session, user, day: CallFacts(
        "id", NOON + day * DAY, "/v1", key, key, team, {"env": env} if env else {}, session, user, model
    ),
    *(st.sampled_from(["a", "b", None]) for _ in range(6)),
    st.integers(0, 2),
)


@given(scopes=st.lists(parts, max_size=12), several=st.lists(st.tuples(calls, st.sampled_from("ab")), max_size=6))
def test_what_is_found_by_look_up_is_what_one_look_at_each_would_find(
    scopes: list[dict[str, str]], several: list[tuple[CallFacts, str]]
) -> None:
    """Whoever came before, and on whichever day."""
    budgets = [
        Budget(f"b{number:02}", 1, Window.DAY, "UTC", list(Mode)[number % 2], Scope(tuple(sorted(scope.items()))))
        for number, scope in enumerate(scopes)
    ]
    index = Budgets(budgets, ZONES)
    for call, provider in several:
        seen = seen_of(call, "a", provider)
        found = index.binding(call, "a", provider)
        expected = [
            Account(one.name, subject, call.started_us // DAY * DAY)
            for one in budgets
            if (subject := subject_of(one.scope, seen)) is not None
        ]
        assert [bound.account for bound in found.bounds] == expected
        assert [bound.account for bound in found.hard] == list(found.held_in) == expected_of(Mode.HARD, found)
        assert list(found.seen_by) == expected_of(Mode.SOFT, found)
        assert found.accounts == found.held_in + found.seen_by
        assert [[found.accounts[place] for place in places] for places in found.places] == [
            list(found.held_in),
            list(found.seen_by),
        ]


def expected_of(mode: Mode, found: Binding) -> list[Account]:
    return [bound.account for bound in found.bounds if bound.budget.mode is mode]


def test_calls_that_are_counted_alike_have_the_same_accounts_and_the_same_object_of_them() -> None:
    """What is added up by its identity must be one object while it is used."""
    index = Budgets([budget("all"), budget("each", ("key", "*"))], ZONES)
    one, other, else_ = (index.binding(replace(CALL, id=id, key=key), "t", "p") for id, key in ("1a", "2a", "3b"))
    assert one is other
    assert one.accounts != else_.accounts


def test_no_more_subjects_are_counted_apart_than_there_may_be() -> None:
    """Clients can name any number of sessions: the rest share one account, and no account is a way out."""
    each = Budget("each", 1, Window.DAY, scope=scope_of([("session", "*")]))
    index = Budgets([each], {"UTC": UTC}, max_subjects=2)

    def subject(session: str, budgets: Budgets = index, day: int = 0) -> str:
        facts = CallFacts("c", day * 86_400_000_000, "/v1/x", session=session)
        return budgets.binding(facts, "a/m", "a").bounds[0].account.subject

    assert [subject(name) for name in "abcab"] == ["session=a", "session=b", "others", "session=a", "session=b"]
    assert subject("c", day=1) == "session=c"
    changed = Budgets([each], {"UTC": UTC}, max_subjects=2, before=index)
    assert [subject(name, changed, 1) for name in "cde"] == ["session=c", "session=d", "others"]


def test_an_account_has_the_limit_that_is_in_force() -> None:
    """Its own, with what it is raised by as long as that lasts, and none once its budget is gone."""
    raised = replace(budget("b", ("key", "*")), raised=Raise(5, NOON))
    budgets = Budgets([raised, budget("other")], ZONES)
    account = Account("b", "key=ci", MARCH)
    assert [budgets.limit_of(account, at) for at in (NOON - 1, NOON)] == [raised.limit_nano + 5, raised.limit_nano]
    assert budgets.limit_of(Account("gone", "everything", MARCH), NOON) is None
