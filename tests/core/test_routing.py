"""Targets and plans."""

from gateway.core.routing import Alias, Provider, Retries, Target


def test_a_target_is_named_by_provider_and_model() -> None:
    box = Provider("gpu-box", "vllm", at_home=False)
    target = Target(box, "org/llama-3-8b")
    assert target.name == "gpu-box/org/llama-3-8b"
    assert Alias("fast", (target,)).targets == (Target(Provider("gpu-box", "vllm", at_home=False), "org/llama-3-8b"),)
    assert not box.quirks.refuses_stream_options


def test_what_may_have_been_billed_is_not_repeated_by_default() -> None:
    assert not Retries().retry_uncertain
