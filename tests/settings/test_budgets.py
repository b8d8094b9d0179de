"""Budgets and holds of the file: what may be written, and every mistake with its line."""

# ruff: noqa: E501 - one case, one line

from decimal import Decimal

import pytest

from gateway.control.budget_terms import MOST
from gateway.core import scopes
from gateway.core.accounts import ACCOUNT_MAX, SUBJECT_MAX
from gateway.core.budgets import Exhausted, Mode
from gateway.core.money import NANO_PER_USD
from gateway.core.windows import Window
from gateway.settings import budgets
from tests.settings.conftest import Mistakes, Read

WHOLE = """
providers: {openai: {}}
models: {small: {targets: [openai/gpt-4o-mini]}}
budgets:
  everything: {limit_usd: "500", window: month, timezone: Europe/Berlin, mode: hard, alert_at: [50, 80, 100]}
  search:
    limit_usd: 0.123456789
    scope: {team: search, key: "*", tag: [env=prod, "app = *"]}
    on_exhausted: downgrade
    downgrade_to: small
    unpriced: allow
  soft: {limit_usd: 1e3, window: lifetime, mode: soft, scope: {tag: env=prod}}
holds: {wait: 1s, min_output_tokens: 1}
"""


def test_all_that_a_budget_can_say(read: Read) -> None:
    settings = read(WHOLE)
    everything, search, soft = settings.budgets.named.values()
    assert (everything.limit_usd, everything.window, everything.timezone) == (Decimal(500), "month", "Europe/Berlin")
    assert (everything.mode, everything.scope, everything.alert_at, everything.line) == ("hard", (), (50, 80, 100), 5)
    assert (search.limit_usd, search.window, search.timezone) == (Decimal("0.123456789"), "month", "UTC")
    assert search.scope == (("team", "search"), ("key", "*"), ("tag", "env=prod"), ("tag", "app = *"))
    assert (search.on_exhausted, search.downgrade_to, search.unpriced) == ("downgrade", "small", "allow")
    assert (soft.limit_usd, soft.mode, soft.scope, soft.alert_at) == (Decimal(1000), "soft", (("tag", "env=prod"),), ())
    assert (settings.holds.wait, settings.holds.min_output_tokens) == (1.0, 1)


def test_without_a_word_there_are_none_and_holds_have_their_defaults(read: Read) -> None:
    settings = read("")
    assert settings.budgets.named == {}
    assert (settings.holds.wait, settings.holds.min_output_tokens) == (0.25, 128)
    assert read("", {"TOLLKEEPER_HOLDS_WAIT": "0ms"}).holds.wait == 0


def test_the_words_are_those_of_the_core() -> None:
    assert tuple(Window) == budgets.WINDOWS
    assert {"hard", "soft"} == set(Mode)
    assert {"refuse", "downgrade"} == set(Exhausted)
    assert scopes.OF_CALL + scopes.OF_TARGET == budgets.DIMENSIONS
    assert (scopes.TAG, scopes.LONGEST) == (budgets.TAG, budgets.LONGEST)
    assert int(budgets.MOST_USD) * NANO_PER_USD == MOST


def test_the_longest_name_leaves_room_for_the_longest_subject() -> None:
    """What a call's frames reserve for an account: a budget's name has no character that JSON escapes."""
    assert len('["","",]') + 64 + 2 * SUBJECT_MAX + 20 < ACCOUNT_MAX


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{}", "3: budgets.b: `limit_usd` is missing"),
        ("{limit_usd: 0}", "budgets.b.limit_usd: must be more than 0"),
        ("{limit_usd: -5}", "must be more than 0"),
        ("{limit_usd: $5}", "`$5` is not a decimal number"),
        ("{limit_usd: 1000000000.1}", "must be at most 1000000000"),
        ("{limit_usd: 0.0000000001}", "more than nine decimals"),
        ("{limit_usd: [1]}", "must be one value"),
        ("{limit_usd: 1, window: monthly}", "budgets.b.window: `monthly` is not one of"),
        ("{limit_usd: 1, window: 30d}", "is not one of"),
        ("\n  limit_usd: 1\n  timezone: berlin", "5: budgets.b.timezone: `berlin` is no time zone; did you mean `Europe/Berlin`?"),
        ("{limit_usd: 1, timezone: Europe/Berln}", "did you mean `Europe/Berlin`?"),
        ("{limit_usd: 1, timezone: new york}", "did you mean `America/New_York`?"),
        ("{limit_usd: 1, timezone: ../etc}", "is no time zone"),
        ("{limit_usd: 1, timezone: Europe}", "is no time zone"),
        ("{limit_usd: 1, timezone: '+02:00'}", "is no time zone"),
        ("{limit_usd: 1, timezone: qqqqqqq}", "write a name like Europe/Berlin, or UTC"),
        ("{limit_usd: 1, mode: firm}", "`firm` is not one of"),
        ("{limit_usd: 1, scope: search}", "budgets.b.scope: must be a mapping"),
        ("{limit_usd: 1, scope: {taem: x}}", "budgets.b.scope.taem: `taem` is nothing that calls can be told apart by; did you mean `team`?"),
        ("{limit_usd: 1, scope: {team: ''}}", "must have from 1 to 256 characters"),
        ("{limit_usd: 1, scope: {team: [a, b]}}", "must be one value (text), not a list"),
        ("{limit_usd: 1, scope: {tag: [env]}}", "budgets.b.scope.tag.1: `env` is no tag"),
        ("{limit_usd: 1, scope: {tag: [env=a, env=b]}}", "budgets.b.scope.tag.2: names tag env twice"),
        ("{limit_usd: 1, scope: {tag: {env: prod}}}", "must be one value (text), not a mapping"),
        ("{limit_usd: 1, alert_at: [80, 50]}", "must go up"),
        ("{limit_usd: 1, alert_at: [50, 50]}", "must go up"),
        ("{limit_usd: 1, alert_at: [0]}", "budgets.b.alert_at.1: must be from 1 to 1000"),
        ("{limit_usd: 1, alert_at: [1001]}", "must be from 1 to 1000"),
        ("{limit_usd: 1, alert_at: 50}", "must be a list"),
        ("{limit_usd: 1, on_exhausted: cry}", "`cry` is not one of"),
        ("{limit_usd: 1, unpriced: maybe}", "`maybe` is not one of"),
        ("{limit_usd: 1, on_exhausted: downgrade, downgrade_to: 'a b'}", "`a b` is no model's name"),
        ("{limit: 1, limit_usd: 1}", "`limit` is not a setting; did you mean `limit_usd`?"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(said: str, message: str, mistakes: Mistakes) -> None:
    told = [str(problem) for problem in mistakes(f"providers: {{openai: {{}}}}\nbudgets:\n b: {said}\n")]
    assert len(told) == 1, told
    assert message in told[0].partition("tollkeeper.yaml:")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"budgets: {{{'x' * 65}: {{limit_usd: 1}}}}", "cannot be a budget's name"),
        ("budgets: {a/b: {limit_usd: 1}}", "cannot be a budget's name"),
        ("holds: {wait: 31s}", "must be from 0ms to 30s"),
        ("holds: {min_output_tokens: 0}", "must be from 1 to 1000000"),
        ("keys: {a: {secret: env:K, budget: 5.00}}", "`5.00` is no budget"),
        ("keys: {a: {secret: env:K, budget: 5.00/moon}}", "is no budget"),
        ("keys: {a: {secret: env:K, budget: 0/month}}", "must be more than 0"),
    ],
)
def test_names_and_holds_are_looked_at_too(text: str, message: str, mistakes: Mistakes) -> None:
    [problem] = mistakes(text)
    assert message in problem.message
