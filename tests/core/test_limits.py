"""Which counters bind a call, and for which minute."""

from dataclasses import replace

from gateway.core.accounts import Account
from gateway.core.calls import CallFacts
from gateway.core.limits import MINUTE_US, Limit, Limits, Unit
from gateway.core.scopes import ANY, scope_of

CALL = CallFacts("c", 5 * MINUTE_US + 7, "/v1/x", key="ci", team="search")


def bound(*limits: Limit) -> list[tuple[str, str, int, int]]:
    rates = Limits(limits).binding(CALL)
    return [(r.bound.account.budget, r.bound.account.subject, r.bound.account.window_start_us, r.most) for r in rates]


def test_each_unit_has_a_counter_of_its_own() -> None:
    limit = Limit("l", scope_of([("key", ANY)]), rpm=6, tpm=70, in_flight=8)
    assert bound(limit) == [
        ("rpm:l", "key=ci", 5 * MINUTE_US, 6),
        ("tpm:l", "key=ci", 5 * MINUTE_US, 70),
        ("in_flight:l", "key=ci", 0, 8),
    ]


def test_who_is_in_no_scope_is_bound_by_nothing() -> None:
    assert bound(Limit("l", scope_of([("team", "other")]), rpm=1)) == []
    assert bound(Limit("l", scope_of([("team", "search")]))) == []
    assert bound() == []


def test_a_minute_ends() -> None:
    (rate,) = Limits([Limit("l", rpm=1)]).binding(CALL)
    assert (rate.unit, rate.bound.span.end_us) == (Unit.REQUESTS, 6 * MINUTE_US)


def test_no_more_values_are_counted_apart_in_a_minute_than_there_may_be() -> None:
    """Clients can name any number of sessions: the rest share one counter, and no counter is a way out."""
    limit = Limit("each", scope_of([("session", "*")]), rpm=1, in_flight=1)
    limits = Limits([limit], max_subjects=2)

    def subjects(session: str, minute: int = 0, among: Limits = limits) -> set[str]:
        call = replace(CALL, session=session, started_us=minute * MINUTE_US)
        return {rate.bound.account.subject for rate in among.binding(call)}

    met = [subjects(name) for name in "abcab"]
    assert met == [{"session=a"}, {"session=b"}, {"others"}, {"session=a"}, {"session=b"}]
    assert subjects("c", minute=1) == {"session=c"}
    changed = Limits([limit], max_subjects=2, before=limits)
    assert [subjects(name, 1, changed) for name in "cde"] == [{"session=c"}, {"session=d"}, {"others"}]


def test_a_counter_has_the_limit_that_is_in_force() -> None:
    limits = Limits([Limit("l", rpm=6, in_flight=8)])
    names = ("rpm:l", "in_flight:l", "tpm:l", "rpm:gone")
    assert [limits.limit_of(Account(name, "everything", 0)) for name in names] == [6, 8, None, None]
