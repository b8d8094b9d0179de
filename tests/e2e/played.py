"""All recordings played once through one gateway, in every way; the tests then look at what came."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from tests.e2e.gateway import Row, Served, until
from tests.e2e.replay import Recording, recordings
from tests.e2e.upstream import PATIENCE, Upstream

ALL = {recording.name: recording for recording in recordings()}
CALLS = {name: recording for name, recording in ALL.items() if recording.path != "models"}
STREAMS = {name: recording for name, recording in CALLS.items() if recording.is_stream and recording.status == 200}
LISTINGS = {
    name.replace("/", "-"): recording
    for name, recording in ALL.items()
    if recording.path == "models" and recording.status == 200
}
"""By the name of the provider that lists these models."""
CUTS = ("recorded", "random", "crumbs")


def settings(url: str) -> str:
    """One provider for all calls, and one for each recorded listing of models."""
    listing = "".join(f'  {name}: {{kind: openai, base_url: "{url}/{name}/v1"}}\n' for name in LISTINGS)
    return f"""\
providers:
  rec: {{kind: openai, base_url: "{url}/v1"}}
{listing}
prices: {{rec/*: {{usd_per_million: {{input: "2", cache_read: "0.5", output: "10"}}}}}}
"""


@dataclass(frozen=True)
class Played:
    """What came of one replay."""

    status: int
    content: bytes
    headers: httpx.Headers
    row: Row


Plays = Mapping[tuple[str, str], Played]
"""By name of the recording and how it was played: one of `CUTS`, or `not asked` (for usage, by the client)."""


def play_all(gateway: Served, upstream: Upstream) -> Plays:
    for name, recording in LISTINGS.items():
        upstream.plays(f"/{name}/v1/models", recording.plays("recorded"))
    tasks = [(name, cuts) for name in CALLS for cuts in CUTS]
    tasks += [(name, "not asked") for name, recording in STREAMS.items() if recording.asks_for_usage]
    with (
        httpx.Client(base_url=gateway.address, timeout=PATIENCE, trust_env=False) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = dict(zip(tasks, pool.map(lambda task: _ask(client, upstream, *task), tasks), strict=True))
    rows = _rows(gateway, len(tasks))
    return {
        task: Played(answer.status_code, answer.content, answer.headers, rows[answer.headers["x-tollkeeper-call-id"]])
        for task, answer in answers.items()
    }


def _ask(client: httpx.Client, upstream: Upstream, name: str, cuts: str) -> httpx.Response:
    recording: Recording = CALLS[name]
    model = upstream.plays(f"{name}@{cuts}", recording.plays("recorded" if cuts == "not asked" else cuts))
    body = {**recording.body, "model": f"rec/{model}"}
    if cuts == "not asked":
        del body["stream_options"]
    return client.post(f"/v1/{recording.path}", json=body)


def _rows(gateway: Served, count: int) -> dict[str, Row]:
    """Every row, by its id, over all pages."""

    def look() -> dict[str, Row] | None:
        rows: dict[str, Row] = {}
        page: Row = {"next": ""}
        while page["next"] is not None:
            params = {"limit": 1000} | ({"cursor": page["next"]} if page["next"] else {})
            page = gateway.admin.get("/admin/calls", params=params).json()
            rows |= {row["id"]: row for row in page["items"]}
        return rows if len(rows) >= count else None

    return until(look, f"{count} rows")
