"""An alert as programs and people read it."""

from dataclasses import replace

import pytest

from gateway.core.alerts.event import (
    TEST,
    TITLES,
    Alert,
    Severity,
    State,
    acknowledged,
    alert_id,
    event_of,
    link_to,
    message_id,
    plain,
    resolved,
    text_of,
    title_of,
    trial_of,
)

NOW = 1_793_433_600_000_000
SPENT = Alert(
    "spent",
    "budget.threshold",
    "search",
    "2026-11/80",
    NOW,
    Severity.WARNING,
    {"percent": 80, "spent_usd": "401.2534", "limit_usd": "500", "resets_at": "2026-12-01T00:00:00Z"},
)


def test_an_alert_has_one_id_wherever_it_is_seen() -> None:
    again = replace(SPENT, raised_us=NOW + 5, facts={"percent": 81})
    assert again.id == SPENT.id == alert_id("spent", "search", "2026-11/80")
    assert alert_id("a", "b c", "d") != alert_id("a b", "c", "d")
    assert len({SPENT.id, alert_id("spent", "search", "2026-11/90"), alert_id("spent", "x", "2026-11/80")}) == 3


def test_what_a_database_cannot_keep_does_not_change_the_id() -> None:
    strange = "a\0\udc80"
    assert plain(strange) == "a??"
    assert alert_id("r", strange, "w") == alert_id("r", plain(strange), "w")


def test_each_channel_and_state_has_a_message_of_its_own() -> None:
    seen = acknowledged(SPENT, NOW + 1)
    ids = {message_id(alert, channel) for alert in (SPENT, seen, resolved(seen, NOW + 2)) for channel in ("a", "b")}
    assert len(ids) == 6
    assert not any("." in id for id in ids)


def test_the_event_is_that_of_the_contract() -> None:
    event = event_of(resolved(SPENT, NOW + 1_500_000), "https://g.example/admin/alerts/x")
    assert event == {
        "type": "budget.threshold",
        "timestamp": "2026-10-31T08:00:01.500000Z",
        "data": {
            "alert": SPENT.id,
            "rule": "spent",
            "subject": "search",
            "window": "2026-11/80",
            "state": "resolved",
            "severity": "warning",
            "link": "https://g.example/admin/alerts/x",
            "title": "Resolved: Budget search: 80 % of $500.00 spent",
            "text": (
                "percent: 80\nspent: $401.25\nlimit: $500.00\nresets at: 2026-12-01T00:00:00Z\n"
                "since: 2026-10-31T08:00:00Z\nrule: spent, warning\nhttps://g.example/admin/alerts/x"
            ),
            "because": None,
            "facts": SPENT.facts,
        },
    }


@pytest.mark.parametrize("kind", TITLES)
def test_every_type_has_a_title_without_any_fact(kind: str) -> None:
    title = title_of(Alert("r", kind, "the-subject", "w", NOW))
    assert "the-subject" in title
    assert "{" not in title


def test_a_type_that_nobody_foresaw_is_told_by_its_name() -> None:
    assert title_of(Alert("r", "moon.full", "a {b}\nc", "w", NOW)) == "Moon.full: a {b} c"


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("401.2534", "$401.25"), ("0.020000000", "$0.02"), ("0.000000620", "$0.00000062"), ("0", "$0.00"),
        ("unclear", "unclear"), (None, "unknown"), (5, "5"),
    ],
)  # fmt: skip
def test_money_is_as_exact_as_it_has_to_be(amount: object, shown: str) -> None:
    assert text_of(replace(SPENT, facts={"spent_usd": amount}), None).splitlines()[0] == f"spent: {shown}"


def test_an_alert_changed_when_it_came_into_its_state() -> None:
    seen = acknowledged(SPENT, NOW + 1)
    assert [one.changed_us for one in (SPENT, seen, resolved(seen, NOW + 2))] == [NOW, NOW + 1, NOW + 2]
    assert [one.state for one in (SPENT, seen)] == [State.RAISED, State.ACKNOWLEDGED]


def test_a_trial_is_like_an_alert_and_none() -> None:
    event = event_of(trial_of("ops", NOW), None)
    data = event["data"]
    assert isinstance(data, dict)
    assert (event["type"], data["alert"], data["rule"], data["subject"]) == (TEST, None, None, "ops")
    assert data["text"].startswith("Sent by hand to see whether this channel works; nothing has happened.\n")


def test_amounts_and_times_leave_in_the_units_of_everybody() -> None:
    facts = {"budget": "search", "percent": 80, "spent_nano": 401_253_400_000, "limit_nano": 500_000_000_000}
    alert = replace(SPENT, subject="team=a", facts={**facts, "likely_us": NOW, "usual_nano": None}, because="So.")
    data = event_of(alert, None)["data"]
    assert isinstance(data, dict)
    assert data["facts"] == {
        "budget": "search", "percent": 80, "spent_usd": "401.253400000", "limit_usd": "500.000000000",
        "likely_at": "2026-10-31T08:00:00Z", "usual_usd": None,
    }  # fmt: skip
    assert data["title"] == "Budget search (team=a): 80 % of $500.00 spent"
    assert data["because"] == data["text"].splitlines()[0] == "So."
    assert "likely at: 2026-10-31T08:00:00Z" in data["text"]
    assert "usual: unknown" in data["text"]


def test_links_lead_to_the_alert_or_to_all_of_them() -> None:
    assert link_to("https://g.example", "alert-1") == "https://g.example/admin/alerts/alert-1"
    assert link_to("https://g.example") == "https://g.example/admin/alerts"
    assert link_to(None, "alert-1") is None
