"""What a rule does about a finding, to whom, and what of it is in force."""

from dataclasses import replace

import pytest

from gateway.core.accounts import short
from gateway.core.actions import Action, InForce, Stage, action_of, advice_of, effect_of, with_action
from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Severity, event_of
from gateway.core.alerts.finding import Finding
from gateway.core.alerts.raising import alert_of
from gateway.core.calls import CallFacts
from gateway.core.scopes import Scope, scope_of

FREEZE, LOWER = Deed(Act.FREEZE), Deed(Act.LOWER, limit_nano=5_000_000_000)
DOWNGRADE = Deed(Act.DOWNGRADE, model="small")
DEEDS = FREEZE, LOWER, DOWNGRADE
SESSION = [("session", "*"), ("team", "a")]
LONG = short("session=" + "s" * 200)
CALL = CallFacts("c", 1, "/v1/chat/completions", "k1", "ci", "search", {"env": "prod"}, "run-1", None, "large")


def finding(subject: str = "everything", **concerns: str) -> Finding:
    return Finding("r", "k", "spend.anomaly", subject, "w", Severity.WARNING, 7, "because", {}, concerns)


def action(deed: Deed, found: Finding, scope: Scope | None = None) -> Action:
    made = action_of(deed, found, alert_of(found), scope)
    assert isinstance(made, Action), made
    return made


@pytest.mark.parametrize(
    ("deed", "found", "scope", "effect"),
    [
        (FREEZE, finding("key=ci", key="ci"), None, "the key ci is frozen"),
        (FREEZE, finding("key=ci,session=a", key="ci", session="a"), None, "the key ci is frozen"),
        (FREEZE, finding(budget="b"), [("key", "ci")], "the key ci is frozen"),
        (FREEZE, finding("key=a%2Cb", budget="b"), [("key", "*")], "the key a,b is frozen"),
        (FREEZE, finding(short("key=ci,session=" + "s" * 200), key="ci"), None, "the key ci is frozen"),
        (FREEZE, finding("others", budget="b"), [("key", "ci"), ("session", "*")], "the key ci is frozen"),
        (LOWER, finding(budget="all"), None, "the budget all is lowered to $5.00"),
        (DOWNGRADE, finding(), [], "calls of everything go to small"),
        (DOWNGRADE, finding(budget="b"), [("team", "a,b")], "calls of team=a%2Cb go to small"),
        (DOWNGRADE, finding("key=ci"), [("key", "*"), ("team", "search")], "calls of key=ci,team=search go to small"),
        (DOWNGRADE, finding("tag:env=prod"), None, "calls of tag:env=prod go to small"),
    ],
)
def test_it_acts_on_whom_the_finding_is_about(
    deed: Deed, found: Finding, scope: list[tuple[str, str]] | None, effect: str
) -> None:
    assert effect_of(action(deed, found, None if scope is None else scope_of(scope))) == effect


@pytest.mark.parametrize(
    ("deed", "found", "why"),
    [
        (FREEZE, finding("team=search"), "these calls have no key"),
        (LOWER, finding("key=ci"), "there is no budget"),
        (DOWNGRADE, finding("target=openai/x,team=search"), "known only once their model is"),
        (DOWNGRADE, finding(), "does not say whose calls"),
        (replace(LOWER, asks=True), finding("key=ci", budget="all"), "has one limit for all that it counts apart"),
        *[(deed, replace(finding(key="ci", budget="all"), of_calls=False), "is about the ledger") for deed in DEEDS],
    ],
)
def test_where_there_is_nobody_to_do_it_to_the_alert_says_so(deed: Deed, found: Finding, why: str) -> None:
    alert = alert_of(found)
    nothing = action_of(deed, found, alert, None)
    assert isinstance(nothing, str)
    assert why in nothing
    assert nothing in str(event_of(with_action(alert, nothing), None))


@pytest.mark.parametrize(
    ("deed", "subject", "scope"),
    [
        (DOWNGRADE, "others", SESSION),
        (FREEZE, "others", [("key", "*")]),
        (DOWNGRADE, LONG, SESSION),
        (DOWNGRADE, short("key=" + "k" * 127 + ",session=" + "s" * 60), [("key", "*"), ("session", "*")]),
        (DOWNGRADE, short("session=a\n"), SESSION),
        (DOWNGRADE, "session=*", SESSION),
        (DOWNGRADE, "tag:a,team=b", [("tag", "a,team=*")]),
        (DOWNGRADE, "everything", [("tag", "a,team=b")]),
        (DOWNGRADE, "everything", SESSION),
        (DOWNGRADE, "key=ci", SESSION),
        (FREEZE, "everything", [("key", "ci"), ("session", "*")]),
        (FREEZE, "team=b", [("key", "ci"), ("session", "*")]),
    ],
)
def test_nothing_is_done_to_anybody_but_whom_the_finding_is_about(
    deed: Deed, subject: str, scope: list[tuple[str, str]]
) -> None:
    """A subject that was shortened, that stands for all who came too late to be counted apart, that no scope can name,
    or that is none of the scope's, for its budget was made anew meanwhile."""
    found = finding(subject, budget="b")
    nothing = action_of(deed, found, alert_of(found), scope_of(scope))
    assert isinstance(nothing, str)
    assert "does not say whose calls these are" in nothing


def test_a_person_reads_what_was_done_and_how_to_undo_it() -> None:
    found = finding("key=ci", key="ci")
    done, asked = action(FREEZE, found), action(replace(FREEZE, asks=True), found)
    assert done.id == asked.id == f"action-{alert_of(found).id.removeprefix('alert-')}", "one of each alert"
    assert advice_of(done) == f"the key ci is frozen; to undo it: tollkeeper alerts undo {done.id}"
    assert advice_of(asked) == f"asks to confirm that the key ci is frozen: tollkeeper alerts confirm {done.id}"
    over, declined = replace(done, stage=Stage.UNDONE), replace(asked, stage=Stage.DECLINED)
    assert advice_of(over).startswith(f"no longer in force: the key ci is frozen ({done.id}); it is done again when")
    assert advice_of(declined).startswith(f"not done: the key ci is frozen ({done.id}); it is asked again when")
    assert with_action(alert_of(found), done).facts["action_id"] == done.id
    of_another = with_action(alert_of(found), replace(done, rule="other")).facts["action"]
    assert "the key ci is frozen already, by the rule other; to undo it" in str(of_another)


def test_only_what_is_in_force_counts() -> None:
    frozen = action(FREEZE, finding("key=ci", key="ci"))
    assert InForce([frozen]).frozen["ci"].startswith("the API key was frozen by the rule r at 1970-01-01T00:00:00")
    for stage in (Stage.ASKED, Stage.UNDONE, Stage.DECLINED):
        assert not InForce([replace(frozen, stage=stage)]).frozen


def test_of_several_limits_the_lowest_counts() -> None:
    low = action(LOWER, finding(budget="all"))
    lower = replace(low, id="b", deed=Deed(Act.LOWER, limit_nano=1))
    assert InForce([lower, low]).lowered == InForce([low, lower]).lowered == {"all": lower}


def test_a_call_goes_to_the_model_of_the_first_action_that_binds_it() -> None:
    of_team = action(DOWNGRADE, finding("team=search"))
    later = replace(action(replace(DOWNGRADE, model="tiny"), finding("session=run-1")), made_us=9)
    found = InForce([later, of_team])
    assert found.downgrades
    assert found.models_for(CALL, lambda model: True) == ["small", "tiny"]
    assert found.models_for(CALL, lambda model: model != "small") == ["tiny"], "a key that may not use the first"
    assert found.models_for(replace(CALL, team="ads"), lambda model: True) == ["tiny"]
    assert found.models_for(replace(CALL, team="ads", session=None), lambda model: True) == []
    assert InForce([of_team]).models_for(replace(CALL, model="small"), lambda model: True) == []
    assert not InForce().downgrades
