"""How a model's name is understood."""

import pytest

from gateway.core.errors import Fault, Kind
from gateway.core.models import NO_FACTS, ModelFacts
from gateway.core.pricing import Price, PriceBook
from gateway.core.routing import Provider, Target
from gateway.proxy.route import Route
from tests.fakes.directory import FixedDirectory
from tests.proxy.rig import PRICES, A, B, alias

HOME = Provider("openai", "openai", at_home=True)


class SmallMap:
    """Two models of one kind."""

    version = "small"

    def find(self, kind: str, model: str) -> Price | None:
        return None

    def models(self, kind: str) -> tuple[str, ...]:
        return ("gpt-x", "gpt-x-mini") if kind == "openai" else ()

    def facts(self, kind: str, model: str) -> ModelFacts:
        return NO_FACTS


def route(*listed: Target, refuse_unpriced: bool = False) -> Route:
    providers = {provider.name: provider for provider in (A, B, HOME)}
    prices = PRICES if refuse_unpriced else PriceBook(SmallMap())
    aliases = alias("fast", (B, "llama"), (A, "m"))
    return Route(providers, aliases, prices, FixedDirectory(*listed), refuse_unpriced=refuse_unpriced)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "targets", "by"),
    [
        ("a/m", ["a/m"], "target"),
        ("a/org/m", ["a/org/m"], "target"),
        ("fast", ["b/llama", "a/m"], "alias"),
        ("gpt-x", ["openai/gpt-x"], "price_book"),
        ("tiny", ["b/tiny"], "listing"),
    ],
)
async def test_names_in_the_order_of_the_contract(model: str, targets: list[str], by: str) -> None:
    plan = await route(Target(B, "tiny"))(model)
    assert ([target.name for target in plan.targets], plan.resolved_by) == (targets, by)


@pytest.mark.anyio
async def test_the_providers_are_not_asked_about_names_that_are_clear() -> None:
    directory = FixedDirectory()
    made = Route({"a": A}, {}, PRICES, directory, refuse_unpriced=False)
    await made("a/m")
    assert directory.asked == []


@pytest.mark.anyio
@pytest.mark.parametrize("model", ["gpt-y", "A/m", "other/m", "a/", "fast ", "x" * 500])
async def test_an_unknown_name_is_an_error_with_near_names(model: str) -> None:
    with pytest.raises(Fault) as unknown:
        await route()(model)
    assert (unknown.value.kind, unknown.value.param) == (Kind.MODEL_UNKNOWN, "model")
    assert unknown.value.hint


@pytest.mark.anyio
async def test_near_names_are_told() -> None:
    with pytest.raises(Fault) as unknown:
        await route()("gpt-x-minii")
    assert "gpt-x-mini" in (unknown.value.hint or "")


@pytest.mark.anyio
async def test_without_any_provider_the_hint_says_what_to_set() -> None:
    with pytest.raises(Fault) as unknown:
        await Route({}, {}, PRICES, FixedDirectory(), refuse_unpriced=False)("gpt-4o")
    assert "OPENAI_API_KEY" in (unknown.value.hint or "")


@pytest.mark.anyio
async def test_unpriced_targets_are_left_out_where_the_settings_say_so() -> None:
    """Known fault 22: an unknown model is, by choice, a refusal."""
    made = route(refuse_unpriced=True)
    assert [target.name for target in (await made("fast")).targets] == ["a/m"]
    with pytest.raises(Fault) as refused:
        await made("b/llama")
    assert refused.value.kind is Kind.PRICE_UNKNOWN
    assert [target.name for target in (await made("b/free")).targets] == ["b/free"]


@pytest.mark.anyio
async def test_names_for_the_listing() -> None:
    assert await route(Target(B, "tiny")).names() == ["fast", "b/tiny", "gpt-x", "gpt-x-mini"]


@pytest.mark.anyio
async def test_a_model_that_a_newer_map_knows_is_found() -> None:
    book = PriceBook(SmallMap())
    routed = Route({"openai": HOME}, {}, book, FixedDirectory(), refuse_unpriced=False)
    assert (await routed("gpt-x")).resolved_by == "price_book"

    class Newer(SmallMap):
        def models(self, kind: str) -> tuple[str, ...]:
            return ("gpt-y",)

        def facts(self, kind: str, model: str) -> ModelFacts:
            return NO_FACTS

    book.put_in_force(Newer(), [])
    assert (await routed("gpt-y")).resolved_by == "price_book"
    with pytest.raises(Fault):
        await routed("gpt-x")
