"""Names and settings that must fit together."""

# ruff: noqa: E501 - one case, one line

import pytest

from tests.settings.conftest import Mistakes, Read

PROVIDERS = "providers: {openai: {}, gpu-box: {kind: vllm, base_url: 'http://h'}}\n"


def said(mistakes: Mistakes, text: str) -> str:
    [problem] = mistakes(text)
    return f"{problem.line} {problem.path}: {problem.message}; {problem.hint}"


def test_what_fits_is_no_mistake(read: Read) -> None:
    text = (
        PROVIDERS
        + "models: {m: {targets: [openai/a, {target: gpu-box/b}]}}\nprices: {gpu-box/b: {free: true}, openai/*: {like: groq}}\n"
    )
    settings = read(text)
    assert settings.models["m"].targets == ("openai/a", "gpu-box/b")
    assert settings.prices.targets["gpu-box/b"].free is True
    assert settings.prices.targets["openai/*"].like == "groq"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("providers: {v: {kind: vllm}}", "1 providers.v: `base_url` is missing: a provider of kind vllm has no usual address"),
        ("providers: {azure: {api_key: env:K}}", "1 providers.azure: `base_url` is missing"),
        ("providers: {openai: {simulate: {}}}", "1 providers.openai.simulate: `simulate` has no meaning here"),
        ("providers: {simulated: {base_url: 'http://h'}}", "1 providers.simulated.base_url: `base_url` has no meaning here"),
        ("providers: {simulated: {api_key: env:K}}", "1 providers.simulated.api_key: `api_key` has no meaning here"),
        ("models: {m: {targets: [openai/a]}}", "there is no provider `openai`; name it under `providers:`"),
        (PROVIDERS + "models:\n m:\n  targets:\n  - openai/a\n  - opnai/b", "6 models.m.targets.2: there is no provider `opnai`; did you mean `openai`?"),
        (PROVIDERS + "models: {m: {targets: [{target: opnai/b}]}}", "models.m.targets.1.target: there is no provider `opnai`"),
        (PROVIDERS + "models: {m: {targets: []}}", "2 models.m.targets: names no target"),
        (PROVIDERS + "models: {m: {targets: [openai]}}", "models.m.targets.1: `openai` is not a target"),
        (PROVIDERS + "models: {m: {targets: ['openai/*']}}", "is not one target"),
        (PROVIDERS + "models: {openai/m: {targets: [openai/a]}}", "2 models.openai/m: `openai/m` cannot be a model's name"),
        (PROVIDERS + "prices: {nobody/x: {free: true}}", "2 prices.nobody/x: there is no provider `nobody`"),
        (PROVIDERS + "prices: {openai/x: {}}", "2 prices.openai/x: states no price; write exactly one of"),
        (PROVIDERS + "prices: {openai/x: {free: true, usd_per_call: 1}}", "states 2 prices (usd_per_call, free)"),
        (PROVIDERS + "prices: {openai/x: {usd_per_million: {}}}", "`usd_per_million` names no bucket"),
        (PROVIDERS + "prices: {openai/x: {usd_per_million: {input: -1}}}", "usd_per_million.input: must not be negative"),
        (PROVIDERS + "prices: {openai/x: {usd_per_million: {inptu: 1}}}", "did you mean `input`?"),
        (PROVIDERS + "prices: {openai/x: {free: false}}", "can only be true"),
        (PROVIDERS + "prices: {openai/x: {like: opnai}}", "did you mean `openai`?"),
        (PROVIDERS + "prices: {openai/x: {like: simulated}}", "has no prices to borrow"),
        (PROVIDERS + "prices: {openai: {free: true}}", "`openai` is not a target"),
        ("alerts: {channels: {a: {}}}", "1 alerts.channels.a: leads nowhere; write exactly one of webhook, apprise"),
        ("alerts: {channels: {a: {webhook: 'https://h', apprise: env:A}}}", "alerts.channels.a: leads to two places"),
        ("alerts: {channels: {a: {webhook: 'https://h'}}}", "alerts.channels.a: `secret` is missing; deliveries are signed with it"),
        ("alerts: {channels: {a: {apprise: env:A, secret: env:S}}}", "alerts.channels.a.secret: `secret` has no meaning here"),
        ("alerts: {channels: {a: {apprise: 'slack://key'}}}", "a secret is written as a reference"),
        ("alerts: {channels: {a: {apprise: env:A, allow_private: on}}}", "`on` is neither `true` nor `false`"),
        ("alerts: {rules: {spent: {kind: errors, channels: [ops]}}}", "1 alerts.rules.spent.channels: there is no channel `ops`"),
        ("alerts: {rules: {r: {kind: errors, action: freeze}}}", "1 alerts.rules.r.action: this rule does not tell keys apart, so it cannot freeze one"),
        ("alerts: {rules: {r: {kind: threshold, budget: b, action: freeze}}}\nbudgets: {b: {limit_usd: 1, scope: {team: a}}}", "does not tell keys apart"),
        ("alerts: {rules: {r: {kind: runaway, action: lower, lower_to: 1}}}", "alerts.rules.r.action: this rule watches no budget that it could lower"),
        ("alerts: {rules: {r: {kind: threshold, budget: b, action: lower}}}", "1 alerts.rules.r: `lower_to` is missing; `action: lower` needs it"),
        ("alerts: {rules: {r: {kind: threshold, budget: b, lower_to: 1}}}", "alerts.rules.r.lower_to: has no meaning without `action: lower`"),
        ("alerts: {rules: {r: {kind: runaway, action: downgrade}}}", "alerts.rules.r: `downgrade_to` is missing"),
        ("alerts: {rules: {r: {kind: runaway, action: downgrade, downgrade_to: smal}}}", "alerts.rules.r.downgrade_to: there is no model `smal` under `models:`"),
        ("budgets: {b: {limit_usd: 1, scope: {team: a}}}\nalerts:\n rules:\n  r:\n   kind: burn_rate\n   budget: b\n   action: freeze", "7 alerts.rules.r.action: this rule does not tell keys apart, so it cannot freeze one; only a budget with `key`"),
        ("alerts: {rules: {r: {kind: price_changed, action: freeze}}}", "cannot freeze one; anomaly and runaway do"),
        ("alerts: {rules: {r: {kind: anomaly, scope: {}, action: freeze}}}", 'cannot freeze one; give it a `scope` with `key: "*"`'),
        ("budgets: {b: {limit_usd: 9}}\nalerts:\n rules:\n  r: {kind: threshold, budget: b, action: lower,\n   lower_to: '9.0'}", "5 alerts.rules.r.lower_to: the limit of the budget b is 9 anyway, and 9.0 is not below that"),
        ("keys: {a: {secret: env:K, budget: 5/day}}\nalerts: {rules: {r: {kind: forecast, budget: 'key:a', action: lower, lower_to: 6}}}", "2 alerts.rules.r.lower_to: the limit of the budget key:a is 5 anyway"),
        ("budgets: {b: {limit_usd: 9, scope: {tag: env=*}}}\nalerts: {rules: {r: {kind: threshold, budget: b, action: lower, lower_to: 1}}}", "2 alerts.rules.r.action: the budget b counts each tag apart, and has one limit for all of them"),
        (PROVIDERS + "alerts: {rules: {r: {kind: latency, above: 1s, action: downgrade, downgrade_to: openai/a}}}", "2 alerts.rules.r.action: it watches who is asked"),
        (PROVIDERS + "alerts: {rules: {r: {kind: runaway, action: downgrade, downgrade_to: openai/}}}", "2 alerts.rules.r.downgrade_to: `openai/` is not a target; write PROVIDER/MODEL"),
        (PROVIDERS + "alerts: {rules: {r: {kind: runaway, action: downgrade, downgrade_to: 'openai/*'}}}", "alerts.rules.r.downgrade_to: `openai/*` is not one target"),
        (PROVIDERS + "alerts: {rules: {r: {kind: runaway, action: downgrade, downgrade_to: gone/a}}}", "alerts.rules.r.downgrade_to: there is no provider `gone`"),
        (PROVIDERS + "alerts: {rules: {r: {kind: errors, scope: {model: openai/a}, action: downgrade, downgrade_to: openai/a}}}", "2 alerts.rules.r.downgrade_to: these calls ask for that model already"),
        (PROVIDERS + "budgets: {b: {limit_usd: 1, on_exhausted: downgrade, downgrade_to: openai/}}", "2 budgets.b.downgrade_to: `openai/` is not a target"),
        (PROVIDERS + "alerts: {rules: {r: {kind: errors, scope: {target: '*'}, action: downgrade, downgrade_to: openai/a}}}", "2 alerts.rules.r.action: it watches who is asked, which is known only after the model is"),
        ("alerts: {rules: {r: {kind: runaway, ask: true}}}", "alerts.rules.r.ask: there is nothing to confirm"),
        (PROVIDERS + "budgets: {b: {limit_usd: 1, on_exhausted: downgrade}}", "2 budgets.b.on_exhausted: `downgrade_to` is missing"),
        (PROVIDERS + "budgets: {b: {limit_usd: 1, downgrade_to: openai/a}}", "2 budgets.b.downgrade_to: has no meaning without `on_exhausted: downgrade`"),
        (PROVIDERS + "budgets:\n b:\n  limit_usd: 1\n  mode: soft\n  on_exhausted: downgrade\n  downgrade_to: openai/a", "6 budgets.b.on_exhausted: a soft budget refuses nothing"),
        (PROVIDERS + "budgets: {b: {limit_usd: 1, on_exhausted: downgrade, downgrade_to: opnai/a}}", "there is no provider `opnai`; did you mean `openai`?"),
        (PROVIDERS + "budgets: {b: {limit_usd: 1, on_exhausted: downgrade, downgrade_to: smal}}", "there is no model `smal` under `models:`; write a target, PROVIDER/MODEL"),
        (PROVIDERS + "models: {small: {targets: [openai/a]}}\nbudgets: {b: {limit_usd: 1, on_exhausted: downgrade, downgrade_to: smal}}", "3 budgets.b.downgrade_to: there is no model `smal` under `models:`; did you mean `small`?"),
        ("keys: {a: {secret: env:K}, b: {secret: env:K}}", "keys.b: has the same secret as the key `a`"),
        ("keys: {a: {team: x}}", "1 keys.a: `secret` is missing"),
        ("keys: {a: {secret: hunter2}}", "a secret is written as a reference"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_once(text: str, message: str, mistakes: Mistakes) -> None:
    sentence = said(mistakes, text)
    assert message in sentence
    assert "hunter2" not in sentence


def test_a_provider_with_a_mistake_is_known_all_the_same(mistakes: Mistakes) -> None:
    text = "providers: {openai: {api_key: hunter2}, 'a b': {}}\nmodels: {m: {targets: [openai/x]}}\n"
    assert [problem.path for problem in mistakes(text)] == ["providers.openai.api_key", "providers.a b"]


@pytest.mark.parametrize(
    "rule",
    [
        "kind: runaway, action: freeze, ask: true",
        "kind: errors, scope: {key: '*'}, action: freeze",
        "kind: anomaly, action: freeze",
        "kind: metering_gap, scope: {key: ci}, action: freeze",
        "kind: threshold, budget: of-the-database, action: freeze",
        "kind: threshold, budget: of-the-database, action: lower, lower_to: 1000",
        "kind: threshold, budget: 'key:ci', action: freeze",
        "kind: burn_rate, budget: b, action: lower, lower_to: '5.50'",
        "kind: anomaly, scope: {team: '*'}, action: downgrade, downgrade_to: openai/gpt-4o-mini",
    ],
)
def test_rules_may_act_on_whom_they_watch(rule: str, read: Read) -> None:
    settings = read(f"{PROVIDERS}budgets: {{b: {{limit_usd: 9}}}}\nalerts: {{rules: {{r: {{{rule}}}}}}}")
    assert settings.alerts.rules["r"].action is not None
