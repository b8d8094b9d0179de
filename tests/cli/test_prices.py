"""`tollkeeper prices`: what it shows, sets, takes over and corrects; and what it refuses."""

import hashlib
import http.server
import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gateway.core.calls import Attempt
from gateway.core.usage import Usage
from tests.cli.books import call, fill
from tests.cli.terminal import invoke
from tests.fakes.records import ATTEMPT, COMPLETED

SETTINGS = """\
providers:
  openai: {api_key: env:OPENAI_API_KEY}
  gpu-box: {kind: vllm, base_url: "http://10.0.0.5:8000/v1"}
models: {fast: {targets: [openai/gpt-4o-mini, gpu-box/other]}}
prices:
  gpu-box/llama-3-8b: {usd_per_million: {input: 0.05, output: 0.20}}
"""
PRICES = {"gpt-4o-mini": (1.5e-7, 6e-7), "gpt-4o": (2.5e-6, 1e-5), "gpt-4.1": (2e-6, 8e-6)}


class Shell:
    """`tollkeeper prices …` on settings and a data folder of one's own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.config = folder / "tollkeeper.yaml"
        self.config.write_text(SETTINGS)

    def __call__(self, *args: str) -> Result:
        return invoke(self.data, "prices", *args, "--config", str(self.config))

    def json(self, *args: str) -> Any:
        told = self(*args, "--json")
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)


@pytest.fixture
def prices(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def a_map(folder: Path, name: str = "newer.json", gpt41: tuple[float, float] | None = None) -> Path:
    """A map of three models, one of them with other rates."""
    rates = {**PRICES, **({} if gpt41 is None else {"gpt-4.1": gpt41})}
    entries = {
        model: {
            "litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": pair[0], "output_cost_per_token": pair[1],
        }
        for model, pair in rates.items()
    }  # fmt: skip
    path = folder / name
    path.write_text(json.dumps(entries))
    return path


# --- showing


def test_the_list_has_what_matters_here(prices: Shell) -> None:
    listed = prices.json("list")
    assert [item["target"] for item in listed["items"]] == ["gpu-box/llama-3-8b", "gpu-box/other", "openai/gpt-4o-mini"]
    assert [item["source"] for item in listed["items"]] == ["file", None, "map"]
    assert listed["price_book"].startswith("litellm ")
    shown = prices("list").stdout
    assert "$0.05" in shown
    assert "unknown" in shown
    assert "openai/gpt-4.1" in prices("list", "--all").stdout
    assert "openai/gpt-4.1" not in shown


def test_one_price_with_all_that_decides_about_it(prices: Shell) -> None:
    facts = prices.json("show", "openai/gpt-5.4")
    assert facts["steps"][0]["above_prompt_tokens"] == 272_000
    assert facts["tiers"]["flex"]["usd_per_million"]["input"] == "1.25"
    shown = prices("show", "deepseek/deepseek-v4-flash").stdout  # a known kind, without a configured provider
    assert "off peak windows hours utc" in shown
    assert "04:00-06:00" in shown


@pytest.mark.parametrize("words", [("show", "nobody/x"), ("show", "gpt-4o"), ("history", "nobody/x")])
def test_targets_of_nobody(prices: Shell, words: tuple[str, ...]) -> None:
    told = prices(*words)
    assert told.exit_code == 2
    assert "is neither a configured provider nor a known kind" in told.stderr or "is not a target" in told.stderr


# --- setting


def test_a_price_is_set_shown_and_taken_back(prices: Shell) -> None:
    told = prices("set", "openai/gpt-4o", "--usd-per-million", "input=2,output=8", "--usd-per-million", "cache_read=1")
    assert told.exit_code == 0
    assert "input $2, output $8, cache_read $1" in told.stdout
    assert "1,000 tokens in and 500 out would cost $0.006" in told.stdout
    assert prices.json("show", "openai/gpt-4o")["price_book"] == "set price 1"
    prices("set", "openai/gpt-4o", "--free", "--since", "2d")
    prices("set", "openai/gpt-4o", "--take-back")
    assert prices.json("show", "openai/gpt-4o")["source"] == "map"
    history = prices.json("history", "openai/gpt-4o")["items"]
    assert [(one["number"], one["taken_back"], one["free"]) for one in history] == [
        (3, True, False), (2, False, True), (1, False, False),
    ]  # fmt: skip
    assert history[0]["actor"].startswith("cli")
    assert "taken back" in prices("history", "openai/gpt-4o").stdout
    assert "No price was ever set" in prices("history", "openai/gpt-4.1").stdout


def test_the_calculator_knows_what_was_set(prices: Shell) -> None:
    prices("set", "openai/gpt-4o", "--usd-per-million", "input=2,output=8")
    asked = ("estimate", "--input", "1000000", "--output", "0", "--target", "openai/gpt-4o", "--json")
    told = json.loads(invoke(prices.data, *asked, "--config", str(prices.config)).stdout)["requests"]
    assert (told["per_request_usd"], told["price_book"]) == ("2.000000000", "set price 1")


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        ((), "not exactly one"),
        (("--free", "--like", "openai"), "not exactly one"),
        (("--usd-per-million", "input"), "is not BUCKET=USD"),
        (("--usd-per-million", "inputs=1"), "unknown bucket"),
        (("--usd-per-million", "input=two"), "not a decimal"),
        (("--usd-per-million", "input=1,input=2"), "input is stated twice"),
        (("--usd-per-call", "-1"), "is not from 0"),
        (("--take-back", "--free"), "goes with no price"),
        (("--free", "--since", "soon"), "not a point in time"),
    ],
)
def test_what_makes_no_sense_is_refused(prices: Shell, flags: tuple[str, ...], what: str) -> None:
    told = prices("set", "openai/gpt-4o", *flags)
    assert (told.exit_code, what in told.stderr) == (2, True), told.stderr


def test_a_price_in_another_unit_is_caught(prices: Shell) -> None:
    """Known fault 21: per token typed for per million."""
    flags = ("set", "openai/gpt-4o", "--usd-per-million", "input=0.0000025,output=0.00001")
    told = prices(*flags)
    assert told.exit_code == 2
    assert "1,000,000 times less than the $2.5 of openai/gpt-4o: was it meant per token?" in told.stderr
    assert prices.json("history", "openai/gpt-4o")["items"] == []
    assert prices(*flags, "--force").exit_code == 0


def test_what_nobody_can_lend_is_not_borrowed(prices: Shell) -> None:
    """Known fault 23: a price that is set and leaves calls without one is told before."""
    flags = ("set", "gpu-box/gpt-4o", "--like", "anthropic")
    told = prices(*flags)
    assert (told.exit_code, "no price of anthropic/gpt-4o is known" in told.stderr) == (2, True), told.stderr
    assert prices(*flags, "--force").exit_code == 0
    assert prices("set", "gpu-box/gpt-4o", "--like", "openai").exit_code == 0
    assert prices("set", "gpu-box/*", "--like", "anthropic").exit_code == 0


def test_what_the_file_declares_is_changed_there(prices: Shell) -> None:
    told = prices("set", "gpu-box/llama-3-8b", "--free")
    assert (told.exit_code, told.stderr) == (
        1, "Error: the settings file declares the price of gpu-box/llama-3-8b; line 6\n",
    )  # fmt: skip
    assert prices("set", "gpu-box/other", "--take-back").exit_code == 1


# --- taking over a map


def test_a_newer_map_is_shown_taken_over_and_left_again(prices: Shell, tmp_path: Path) -> None:
    first = a_map(tmp_path, "first.json")
    assert prices("sync", str(first)).exit_code == 1  # nearly all models missing
    assert prices("sync", str(first), "--force").exit_code == 0
    newer = a_map(tmp_path, gpt41=(3e-6, 8e-6))
    tried = prices.json("sync", str(newer), "--dry-run")
    assert (tried["changed"], tried["added"], tried["removed"], tried["in_force"]) == (
        [{"model": "openai/gpt-4.1", "what": "input $2 → $3"}], [], [], False,
    )  # fmt: skip
    assert prices.json("show", "openai/gpt-4.1")["usd_per_million"]["input"] == "2"
    digest = hashlib.sha256(newer.read_bytes()).hexdigest()
    told = prices("sync", str(newer), "--sha256", digest)
    assert told.exit_code == 0
    assert "changed  openai/gpt-4.1: input $2 → $3" in told.stdout
    shown = prices.json("show", "openai/gpt-4.1")
    assert (shown["usd_per_million"]["input"], shown["price_book"]) == ("3", f"newer.json sha256:{digest[:12]}")
    back = prices.json("sync", "bundled")
    assert back["in_force"]
    assert prices.json("list")["price_book"].startswith("litellm ")


def test_a_broken_map_is_refused_and_the_old_one_stays(prices: Shell, tmp_path: Path) -> None:
    """Known fault 22: not JSON, a broken entry, an absurd price, a lost half: none takes anything away."""
    prices("sync", str(a_map(tmp_path, "first.json")), "--force")
    before = prices.json("list")["price_book"]
    broken = a_map(tmp_path, "broken.json")
    entries = json.loads(broken.read_text())
    entries["gpt-4o"]["input_cost_per_token"] = "2.5e-6"
    broken.write_text(json.dumps(entries))
    no_json = tmp_path / "page.json"
    no_json.write_text("<html>")
    leap = a_map(tmp_path, "leap.json", gpt41=(2e-8, 8e-6))
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    for path, code, what in [
        (no_json, 2, "is not JSON"),
        (broken, 1, "1 of its entries cannot be read: gpt-4o: input_cost_per_token is not a number"),
        (leap, 1, "openai/gpt-4.1 input $2 → $0.02"),
        (empty, 1, "no price of any known provider"),
        (tmp_path / "missing.json", 1, "there is no file"),
    ]:
        told = prices("sync", str(path))
        assert (told.exit_code, what in told.stderr) == (code, True), told.stderr
        assert prices.json("list")["price_book"] == before
    told = prices("sync", str(a_map(tmp_path)), "--sha256", "0" * 64)
    assert (told.exit_code, "nothing was changed" in told.stderr) == (2, True)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A web server with a map, and an address that leads elsewhere."""
    content = a_map(tmp_path, "served.json").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = self.path.startswith("/moved")
            missing = self.path.startswith("/missing")
            self.send_response(302 if moved else 404 if missing else 200)
            body = b" " * (9 << 20) if self.path.startswith("/huge") else content
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever has seen enough leaves
                self.wfile.write(body[:9] if self.path.startswith("/torn") else body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_map_from_an_address(prices: Shell, served: str) -> None:
    told = prices("sync", f"{served}/maps/served.json?raw=1", "--force")
    assert told.exit_code == 0, told.stderr
    assert prices.json("list")["price_book"].startswith("served.json sha256:")
    assert "redirects are not followed" in prices("sync", f"{served}/moved/served.json").stderr
    assert prices("sync", "http://127.0.0.1:1/served.json").exit_code == 1
    assert prices("sync", "ftp://127.0.0.1/served.json").exit_code == 2
    assert prices("sync", "http://me:pw@127.0.0.1/served.json").exit_code == 2
    assert prices("sync", "http://127.0.0.1/").exit_code == 2


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/torn/map.json", "cannot be fetched: the upstream broke off its answer; nothing was changed"),
        ("/huge/map.json", "with more than 8 MiB; nothing was changed"),
        ("/missing/map.json", "answers 404; nothing was changed"),
        ("/moved/map.json", "answers 302; nothing was changed; give the address itself"),
    ],
)
def test_an_address_that_gives_no_map_is_named(prices: Shell, served: str, path: str, what: str) -> None:
    """Known fault 22: said where it was fetched, and that the old one stays."""
    told = prices("sync", f"{served}{path}")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.startswith(f"Error: {served}{path} ")
    assert what in told.stderr
    assert prices.json("list")["price_book"].startswith("litellm ")


def test_a_digest_is_compared_or_refused_and_never_left_aside(prices: Shell, tmp_path: Path) -> None:
    for source, digest, what in [
        (str(a_map(tmp_path)), "9f86d081", "'9f86d081' is not a SHA-256 digest; write its 64 hexadecimal digits"),
        ("bundled", "0" * 64, "--sha256: the bundled map is not fetched"),
    ]:
        told = prices("sync", source, "--sha256", digest)
        assert (told.exit_code, what in told.stderr) == (2, True), told.stderr


def test_a_look_at_a_map_says_what_would_be_refused(prices: Shell, tmp_path: Path) -> None:
    prices("sync", str(a_map(tmp_path, "first.json")), "--force")
    told = prices("sync", str(a_map(tmp_path, "leap.json", gpt41=(2e-8, 8e-6))), "--dry-run")
    assert told.exit_code == 0
    assert "Doubtful: 1 rates differ by more than 100 times: openai/gpt-4.1 input $2 → $0.02; --force" in told.stdout


def test_the_bundled_map_changes_nothing_beside_itself(prices: Shell) -> None:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"
    same = prices.json("sync", str(path))
    assert (same["changed"], same["added"], same["removed"], same["doubts"]) == ([], [], [], [])


# --- a second look at old calls


def books(prices: Shell) -> None:
    """Two calls of a target without a price, one that is right, one whose price was another."""
    unpriced = replace(ATTEMPT, target="gpu-box/other", provider="gpu-box", cost_nano=None, cost_at_least_nano=0)
    right = replace(ATTEMPT, usage=Usage(input=1000, output=100), cost_nano=1000 * 150 + 100 * 600)
    wrong = replace(right, cost_nano=1)

    def of(number: int, attempt: Attempt) -> Any:
        started_us = call(number).facts.started_us
        return call(number, record=replace(COMPLETED, attempts=(replace(attempt, started_us=started_us),)))

    fill(prices.data, [of(number, one) for number, one in enumerate([unpriced, unpriced, right, wrong])])


def test_old_calls_are_corrected_after_a_look(prices: Shell) -> None:
    """Known fault 44: corrections are entries, not deletions."""
    books(prices)
    rates = "input=1,cache_read=0.5,output=2"
    prices("set", "gpu-box/other", "--usd-per-million", rates, "--since", "1h")
    look = prices.json("reprice", "--since", "1h")
    each = 200 * 1000 + 800 * 500 + 100 * 2000
    assert look["applied"] is False
    assert (look["same_calls"], look["unknown_calls"]) == (1, 0)
    assert [(row["target"], row["calls"], row["unknown_before"]) for row in look["rows"]] == [
        ("gpu-box/other", 2, 2), ("openai/gpt-4o-mini", 1, 0),
    ]  # fmt: skip
    assert look["rows"][0]["after_usd"] == f"0.{2 * each:09d}"
    assert look["totals"]["delta_usd"] == f"0.{2 * each + 210_000 - 1:09d}"
    assert "2 calls" not in prices("reprice", "--since", "1h", "--target", "openai/gpt-4o-mini").stdout
    told = prices("reprice", "--since", "1h", "--apply").stdout
    assert "3 calls corrected; 1 are right" in told
    assert prices.json("reprice", "--since", "1h", "--apply")["totals"]["calls"] == 0
    usage = json.loads(invoke(prices.data, "usage", "--json", "--config", str(prices.config)).stdout)
    assert usage["totals"]["cost_usd"] == f"0.{2 * each + 2 * 210_000:09d}"
    assert usage["totals"]["unpriced_calls"] == 0
    shown = json.loads(invoke(prices.data, "calls", "--json", "--config", str(prices.config)).stdout)["items"]
    assert sum(int(item["cost_usd"].replace(".", "")) for item in shown) == 2 * each + 2 * 210_000

    other = next(item for item in shown if item["target"] == "gpu-box/other")
    sheet = invoke(prices.data, "calls", "show", other["id"], "--config", str(prices.config)).stdout
    assert "Corrections" in sheet
    assert "set price 1" in sheet
    assert "$0.0008" in sheet


def test_a_look_at_nothing(prices: Shell) -> None:
    assert prices("reprice", "--since", "1h").stdout.startswith("0 calls would be corrected")
    assert prices("reprice", "--since", "1h", "--until", "2h").exit_code == 2
