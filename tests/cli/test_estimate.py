"""The calculator as a person meets it: the words of its answers, and errors that say what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.estimate import estimate
from gateway.cli.frame import Frame, group

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `estimate` in an empty folder with an empty environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("TOLLKEEPER_CONFIG", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    app = group("Test.", cls=Frame)
    app.callback()(lambda: None)
    app.command("estimate")(estimate)
    return lambda *flags: CliRunner().invoke(app, ["estimate", *flags])


def lines(result: Result) -> dict[str, str]:
    """What was printed, by label."""
    assert result.exit_code == 0, result.output
    pairs = (re.split(r"\s{2,}", line, maxsplit=1) for line in result.stdout.splitlines())
    return dict(pairs)


def test_what_requests_cost(run: Run) -> None:
    flags = "--input 500 --output 300 --per-day 10000 --input-usd-per-1k 0.01 --output-usd-per-1k 0.03"
    shown = lines(run(*flags.split()))
    assert shown == {"per request": "$0.014000", "per day": "$140.00", "per 30 days": "$4,200.00"}


def test_one_request(run: Run) -> None:
    flags = "--input 500 --output 500 --input-usd-per-1k 0.01 --output-usd-per-1k 0.03"
    assert lines(run(*flags.split())) == {"per request": "$0.020000"}


def test_prices_per_million_are_the_same_in_another_unit(run: Run) -> None:
    """Known fault 21: the unit is in the name of the flag."""
    flags = "--input 500 --output 500 --input-usd-per-million 10 --output-usd-per-million 30"
    assert lines(run(*flags.split())) == {"per request": "$0.020000"}


def test_no_digit_of_a_small_price_is_lost(run: Run) -> None:
    flags = "--input 1 --output 0 --per-day 3 --input-usd-per-million 0.0375"
    shown = lines(run(*flags.split()))
    assert shown == {"per request": "$0.0000000375", "per day": "$0.0000001125", "per 30 days": "$0.000003375"}
    facts = json.loads(run(*flags.split(), "--json").stdout)["requests"]
    assert (facts["per_day_usd"], facts["per_30_days_usd"]) == ("0.0000001125", "0.000003375")


def test_prices_of_the_book_name_their_source(run: Run) -> None:
    shown = lines(run("--input", "500", "--output", "300", "--target", "openai/gpt-4o"))
    assert shown["per request"] == "$0.004250"  # 500 × 2.50 + 300 × 10 per million
    assert shown["price"].startswith("openai/gpt-4o, litellm 1.106.2 sha256:")


def test_prices_of_the_settings_file_go_before_the_book(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tollkeeper.yaml").write_text(
        "providers:\n"
        "  gpu-box: {kind: vllm, base_url: 'http://10.0.0.5:8000/v1'}\n"
        "  proxy: {kind: openai, base_url: 'http://10.0.0.6/v1'}\n"
        "prices:\n"
        "  gpu-box/llama: {usd_per_million: {input: '0.05', output: '0.20'}}\n"
    )
    million = ("--input", "1000000", "--output", "1000000", "--target")
    assert lines(run(*million, "gpu-box/llama"))["per request"] == "$0.250000"
    elsewhere = run(*million, "proxy/gpt-4o")  # not the kind's own address: the book does not hold there
    assert elsewhere.exit_code == 2
    assert "no price of proxy/gpt-4o" in elsewhere.stderr


def test_how_long_an_answer_takes(run: Run) -> None:
    flags = ("--ttft-ms", "200", "--tpot-ms", "30", "--tokens", "100")
    assert lines(run(*flags)) == {"whole answer": "3.2 s", "speed": "33.3 tokens/s"}
    facts = json.loads(run(*flags, "--json").stdout)["latency"]
    assert facts["seconds"] == 3.2
    assert facts["tokens_per_second"] == pytest.approx(1000 / 30)


def test_what_a_token_costs_on_an_own_gpu(run: Run) -> None:
    flags = ("--gpu-usd-per-hour", "2.50", "--tokens-per-second", "1500")
    assert lines(run(*flags)) == {"own GPU": "$0.462963 per million tokens at 100 % utilisation"}
    for spelling in ("--utilisation", "--utilization"):
        shown = lines(run(*flags, spelling, "0.4", "--target", "openai/gpt-4o"))
        assert shown == {
            "own GPU": "$1.157407 per million tokens at 40 % utilisation",
            "break-even": "at 250,000 tokens per hour, 4.6 % utilisation, "
            "with openai/gpt-4o at $10.00 per million output tokens",
        }


def test_break_even_with_a_mix_of_tokens_and_where_there_is_none(run: Run) -> None:
    flags = "--gpu-usd-per-hour 2.50 --tokens-per-second 1500 --input 300 --output 100"
    stated = "--input-usd-per-million 0.1 --output-usd-per-million 0.3"
    shown = lines(run(*flags.split(), *stated.split()))
    assert shown["break-even"].startswith("never with the stated price at $0.15 per million tokens")
    facts = json.loads(run(*flags.split(), *stated.split(), "--json").stdout)["gpu"]
    assert facts["break_even"]["reachable"] is False
    assert facts["break_even"]["usd_per_million"] == "0.150000000"


def test_when_a_training_has_paid_for_itself(run: Run) -> None:
    flags = ("--training-usd", "5000", "--saves-usd-per-request", "0.004")
    assert lines(run(*flags)) == {"paid back": "after 1,250,000 requests"}
    assert lines(run(*flags, "--per-day", "10000")) == {"paid back": "after 1,250,000 requests, 125 days"}
    assert json.loads(run(*flags, "--json").stdout) == {"training": {"requests": 1_250_000, "days": None}}


def test_thousands_are_apart_for_people_and_never_for_programs(run: Run) -> None:
    flags = "--input 1000000 --output 0 --per-day 1000 --input-usd-per-million 1234.5"
    assert lines(run(*flags.split()))["per 30 days"] == "$37,035,000.00"
    assert json.loads(run(*flags.split(), "--json").stdout)["requests"]["per_30_days_usd"] == "37035000.000000000"


def test_several_forms_at_once(run: Run) -> None:
    flags = "--ttft-ms 1 --tpot-ms 1 --tokens 1 --training-usd 1 --saves-usd-per-request 0.3"
    assert list(json.loads(run(*flags.split(), "--json").stdout)) == ["latency", "training"]


def test_what_energy_requests_take_by_a_stated_range(run: Run) -> None:
    """Known fault 27: energy and CO2 as an estimate with method and range, by factors that somebody states."""
    flags = ["--output", "300", "--per-day", "10000", "--wh-per-1k", "0.3-3.0", "--g-co2-per-kwh", "400"]
    assert lines(run(*flags)) == {
        "energy per 1k tokens": "0.3–3 Wh, 0.12–1.2 g CO2e",
        "energy per request": "0.09–0.9 Wh, 0.036–0.36 g CO2e",
        "energy per day": "0.9–9 kWh, 0.36–3.6 kg CO2e",
        "energy per 30 days": "27–270 kWh, 10.8–108 kg CO2e",
        "energy method": "generated tokens × 0.3–3.0 Wh per thousand × 400 g CO2e per kWh, as stated; "
        "prompts not counted; estimate",
    }
    facts = json.loads(run(*flags, "--json").stdout)["energy"]
    assert facts["per_day"] == {"energy_wh": {"low": 900, "high": 9000}, "co2e_g": {"low": 360, "high": 3600}}
    assert facts["energy_method"].endswith("prompts not counted; estimate")


def test_what_energy_a_token_takes_on_own_hardware(run: Run) -> None:
    flags = ["--watts", "700", "--tokens-per-second", "1500"]
    assert lines(run(*flags)) == {
        "energy per 1k tokens": "0.13 Wh",
        "energy method": "generated tokens × 700 W / 1,500 tokens per second, as stated; prompts not counted; estimate",
    }
    shown = lines(run(*flags, "--utilisation", "0.4", "--overhead", "1.2"))
    assert shown["energy per 1k tokens"] == "0.156–0.389 Wh"
    assert "at 40 % utilisation (low: idle it draws nothing; high: idle it draws the same)" in shown["energy method"]
    facts = json.loads(run(*flags, "--json").stdout)["energy"]
    assert facts["per_1k_tokens"] == {"energy_wh": {"low": pytest.approx(7 / 54), "high": pytest.approx(7 / 54)}}


def test_energy_goes_beside_costs_and_gpus(run: Run) -> None:
    prices = "--input-usd-per-1k 0.01 --output-usd-per-1k 0.03"
    flags = f"--input 500 --output 300 {prices} --wh-per-1k 1"
    assert list(json.loads(run(*flags.split(), "--json").stdout)) == ["requests", "energy"]
    own = "--gpu-usd-per-hour 2.5 --watts 700 --tokens-per-second 1500 --output 300"
    assert list(json.loads(run(*own.split(), "--json").stdout)) == ["gpu", "energy"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("", "nothing to calculate; give one of"),
        ("--input 500 --output 300", "there is no price to calculate with; give --input-usd-per-1k"),
        ("--input 500 --output 300 --input-usd-per-1k 0.01", "no price for output; give"),
        ("--input-usd-per-1k 0.01", "--input-usd-per-1k cannot be used alone"),
        ("--input 5 --input-usd-per-1k 1 --input-usd-per-million 1", "contradict each other"),
        ("--input 5 --input-usd-per-1k 1 --target openai/gpt-4o", "--target and stated prices contradict"),
        ("--ttft-ms 200", "--ttft-ms goes with --tpot-ms and --tokens"),
        ("--tokens 200", "--tokens goes with --ttft-ms and --tpot-ms"),
        ("--ttft-ms 200 --tpot-ms 0 --tokens 5", "the time per output token must be above 0"),
        ("--ttft-ms 200ms --tpot-ms 3 --tokens 5", "--ttft-ms: '200ms' is not a number"),
        ("--ttft-ms -1 --tpot-ms 3 --tokens 5", "--ttft-ms cannot be -1"),
        ("--ttft-ms nan --tpot-ms 3 --tokens 5", "is not a number"),
        ("--ttft-ms 1e99 --tpot-ms 3 --tokens 5", "--ttft-ms cannot be 1e99"),
        ("--input 5 --input-usd-per-1k $0.01", "write digits and a point alone, like 0.01"),
        ("--input 5 --input-usd-per-1k 0,01", "write digits and a point alone, like 0.01"),
        ("--input 5.5 --input-usd-per-1k 1", "--input"),
        ("--input -5 --input-usd-per-1k 1", "--input"),
        ("--gpu-usd-per-hour 2.5", "--gpu-usd-per-hour goes with --tokens-per-second"),
        ("--gpu-usd-per-hour 2.5 --tokens-per-second 9 --utilisation 40", "40 % is 0.4"),
        ("--gpu-usd-per-hour 2.5 --tokens-per-second 9 --input-usd-per-1k 1", "no price for output"),
        ("--gpu-usd-per-hour 2.5 --tokens-per-second 9 --input 5", "--input cannot be used alone or with these flags"),
        ("--utilisation 0.4", "--utilisation cannot be used alone"),
        ("--tokens-per-second 9", "--tokens-per-second cannot be used alone"),
        ("--watts 700", "--watts goes with --tokens-per-second"),
        ("--watts 0 --tokens-per-second 9", "what the hardware draws must be above 0"),
        ("--watts 700 --tokens-per-second 9 --utilisation 40", "40 % is 0.4"),
        ("--watts 700 --tokens-per-second 9 --wh-per-1k 1", "--wh-per-1k and --watts contradict each other"),
        ("--wh-per-1k 3-0.3", "--wh-per-1k: '3-0.3' ends below its beginning; write 0.3-3"),
        ("--wh-per-1k -3", "--wh-per-1k: '-3' is not a range; write LOW-HIGH like 0.3-3.0"),
        ("--wh-per-1k nan", "--wh-per-1k: 'nan' is not a range"),
        ("--wh-per-1k 1 --overhead 0.2", "--overhead: '0.2' is not within 1 and 1,000,000; 20 % on top is 1.2"),
        ("--wh-per-1k 1 --input 5", "--input cannot be used alone or with these flags"),
        ("--g-co2-per-kwh 400", "--g-co2-per-kwh cannot be used alone"),
        ("--training-usd 5000", "--training-usd goes with --saves-usd-per-request"),
        ("--training-usd 5000 --saves-usd-per-request 0", "what a request saves must be above 0"),
        ("--per-day 5 --ttft-ms 1 --tpot-ms 1 --tokens 1", "--per-day cannot be used"),
        ("--input 5 --target gpt-4o", "'gpt-4o' is not a target; write PROVIDER/MODEL"),
        ("--input 5 --target openai/gpt-4oo", "near names: gpt-4o"),
        ("--input 5 --target nobody/gpt-4o", "'nobody' is neither a configured provider nor a known kind"),
    ],
)
def test_wrong_use_says_what_to_do(run: Run, flags: str, told: str) -> None:
    result = run(*flags.split())
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_a_price_that_this_version_cannot_apply_is_a_failure_and_not_a_number(run: Run) -> None:
    result = run("--input", "5", "--target", "deepseek/deepseek-v4-flash")
    assert result.exit_code == 1
    assert "its price depends on the hour" in result.stderr
    assert result.stdout == ""


def test_a_price_in_the_wrong_unit_is_remarked_on(run: Run) -> None:
    """Known fault 21: per thousand and per million are easily taken for one another."""
    flags = "--input 5 --output 5 --input-usd-per-1k 2.5 --output-usd-per-1k 0.03"
    result = run(*flags.split())
    assert result.exit_code == 0
    assert "$2,500.00 per million; did you mean --input-usd-per-million?" in result.stderr
    assert "--output-usd-per-1k" not in result.stderr
