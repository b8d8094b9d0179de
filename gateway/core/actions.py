"""Actions: what an alert rule does when it fires, to whom, and what of it is in force.

One that is in force stays so until a person undoes it; one that asks does nothing until a person confirms it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from gateway.core.alerts.deed import Act, Deed
from gateway.core.alerts.event import Alert
from gateway.core.alerts.finding import Finding, concerned, dollars
from gateway.core.calls import CallFacts
from gateway.core.moments import moment
from gateway.core.money import Nano
from gateway.core.scopes import ANY, EVERYTHING, OF_CALL, TAG, Scope, ScopeIndex, read, seen_of, written
from gateway.core.value import value


class Stage(StrEnum):
    """Where an action stands; it only moves on, from `asked` to `in_force` or `declined`, from there to `undone`."""

    ASKED = "asked"
    IN_FORCE = "in_force"
    UNDONE = "undone"
    DECLINED = "declined"


LEADS_TO: Mapping[Stage, Stage] = {
    Stage.IN_FORCE: Stage.ASKED,
    Stage.DECLINED: Stage.ASKED,
    Stage.UNDONE: Stage.IN_FORCE,
}
"""Every stage that a person can bring an action to, and the one that it must be in."""


@value(frozen=True)
class Action:
    """What a rule has done, or would do."""

    id: str
    alert: str
    """The id of the alert that it came with."""
    rule: str
    deed: Deed
    subject: str
    """Whom it acts on: a key's name, a budget's name, or a scope as text, `key=ci,team=search`; empty: every call."""
    made_us: int
    stage: Stage = Stage.IN_FORCE
    decided_us: int | None = None
    decided_by: str | None = None

    @property
    def scope(self) -> Scope:
        """Of a downgrade: whose calls it binds."""
        return Scope(tuple(sorted(read(self.subject).items())))


def action_of(deed: Deed, finding: Finding, alert: Alert, scope: Scope | None) -> Action | str:
    """What a rule does about a finding; or why there is nobody to do it to. `scope`: that of the rule, or of the
    budget that it watches. It is never done to anybody but whom the finding is about."""
    subject = _SUBJECTS[deed.act](finding, _whose(finding, scope)) if finding.of_calls else _Nobody(_THE_LEDGER)
    if isinstance(subject, _Nobody):
        return f"nothing was done: {subject.why}"
    stage = Stage.ASKED if deed.asks else Stage.IN_FORCE
    id = f"action-{alert.id.removeprefix('alert-')}"
    return Action(id, alert.id, finding.rule, deed, subject, alert.raised_us, stage)


@value(frozen=True)
class _Whose:
    """The calls that a finding is about."""

    parts: Mapping[str, str]
    """What all of them have in common."""
    whole: bool
    """Whether every call with these is one of them."""


@value(frozen=True)
class _Nobody:
    why: str


_THE_LEDGER = "this is about the ledger, and about nobody's calls"
_UNTOLD = "its subject is shortened, or stands for several, so it does not say whose calls these are"


def _whose(finding: Finding, scope: Scope | None) -> _Whose:
    own = concerned(finding.subject)
    if scope is None:
        return _Whose(own, bool(own))
    told = bool(own) or finding.subject == EVERYTHING
    if told and set(own) != set(scope.counted):
        return _Whose({}, False)  # the budget was made anew meanwhile
    fixed = {dimension: has for dimension, has in scope.parts if has != ANY}
    return _Whose({**fixed, **own}, told)


def _key(finding: Finding, whose: _Whose) -> str | _Nobody:
    """All calls are of one key; it may have made others."""
    key = whose.parts.get("key") or finding.concerns.get("key")
    return key or _Nobody("these calls have no key that could be frozen" if whose.whole else _UNTOLD)


def _budget(finding: Finding, _: _Whose) -> str | _Nobody:
    budget = finding.concerns.get("budget")
    if budget is None:
        return _Nobody("there is no budget to lower")
    if finding.subject != EVERYTHING:
        return _Nobody(f"the budget {budget} has one limit for all that it counts apart, not for {finding.subject}")
    return budget


def _calls(_: Finding, whose: _Whose) -> str | _Nobody:
    parts = {name: whose.parts[name] for name in sorted(whose.parts)}
    if not whose.whole or ANY in parts.values() or read(written(parts)) != parts:
        return _Nobody(_UNTOLD)
    if not all(_of_call(name) for name in parts):
        return _Nobody("what these calls have in common is known only once their model is")
    return written(parts)


_SUBJECTS: Mapping[Act, Callable[[Finding, _Whose], str | _Nobody]] = {
    Act.FREEZE: _key,
    Act.LOWER: _budget,
    Act.DOWNGRADE: _calls,
}


def _of_call(dimension: str) -> bool:
    return dimension in OF_CALL or dimension.startswith(f"{TAG}:")


def effect_of(action: Action) -> str:
    """What it does, in a few words: `the key ci is frozen`."""
    deed = action.deed
    if deed.act is Act.FREEZE:
        return f"the key {action.subject} is frozen"
    if deed.act is Act.LOWER:
        return f"the budget {action.subject} is lowered to {dollars(deed.limit_nano or 0)}"
    return f"calls of {action.subject or EVERYTHING} go to {deed.model}"


def advice_of(action: Action, rule: str | None = None) -> str:
    """What holds now or would, and what a person can do about it. `rule`: that fired; another one may have done it
    before."""
    effect = effect_of(action)
    if rule not in (None, action.rule):
        effect += f" already, by the rule {action.rule}"
    return _ADVICE[action.stage].format(effect=effect, id=action.id)


_ADVICE: Mapping[Stage, str] = {
    Stage.ASKED: "asks to confirm that {effect}: tollkeeper alerts confirm {id}",
    Stage.IN_FORCE: "{effect}; to undo it: tollkeeper alerts undo {id}",
    Stage.UNDONE: "no longer in force: {effect} ({id}); it is done again when its rule fires again",
    Stage.DECLINED: "not done: {effect} ({id}); it is asked again when its rule fires again",
}


def with_action(alert: Alert, action: Action | str) -> Alert:
    """An alert that says what came with it."""
    if isinstance(action, str):
        return replace(alert, facts={**alert.facts, "action": action})
    told = {"action": advice_of(action, alert.rule), "action_id": action.id}
    return replace(alert, facts={**alert.facts, **told})


class InForce:
    """The actions in force, found by what they act on. All of it is empty nearly always."""

    def __init__(self, actions: Iterable[Action] = ()) -> None:
        self.frozen: dict[str, str] = {}
        """Why a key is refused, by its name."""
        self.lowered: dict[str, Action] = {}
        """By a budget's name: of several the lowest."""
        downgrades: list[tuple[Scope, Action]] = []
        for action in sorted(actions, key=_made):
            if action.stage is not Stage.IN_FORCE:
                continue
            if action.deed.act is Act.FREEZE:
                self.frozen.setdefault(action.subject, _why_frozen(action))
            elif action.deed.act is Act.LOWER:
                known = self.lowered.get(action.subject)
                if known is None or _limit(action) < _limit(known):
                    self.lowered[action.subject] = action
            else:
                downgrades.append((action.scope, action))
        self.downgrades = bool(downgrades)
        self._downgrades = ScopeIndex(downgrades)

    def models_for(self, facts: CallFacts, may_use: Callable[[str], bool]) -> list[str]:
        """The models that a call is to be sent to instead of the one that it asks for, of those that its key may use:
        that of the action that was made first before the others."""
        found = [action for _, action in self._downgrades.of(seen_of(facts))]
        models = [action.deed.model for action in sorted(found, key=_made)]
        return [model for model in models if model is not None and model != facts.model and may_use(model)]


def _why_frozen(action: Action) -> str:
    return f"the API key was frozen by the rule {action.rule} at {moment(action.made_us)}, until an operator lifts it"


def _made(action: Action) -> tuple[int, str]:
    return (action.made_us, action.id)


def _limit(action: Action) -> Nano:
    return action.deed.limit_nano or 0
