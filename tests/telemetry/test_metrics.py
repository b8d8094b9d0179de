import threading
from dataclasses import replace

import orjson
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.calls import CallRecord, End
from gateway.core.usage import NOTHING_KNOWN, Basis
from gateway.telemetry import metrics
from gateway.telemetry.counts import Told
from gateway.telemetry.metrics import Known, Metrics, StorageStats
from tests.fakes.records import ATTEMPT, COMPLETED, FACTS, REFUSED, at_target

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def new_metrics(storage: StorageStats | None = None) -> Metrics:
    return Metrics("1.2.3", lambda name: name.startswith("openai/"), lambda: storage or StorageStats())


def scraped(observer: Metrics) -> Samples:
    """Everything exported, by name and labels, read back by the format's own parser."""
    text = generate_latest(observer.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def total(samples: Samples, name: str) -> float:
    return sum(number for (sample, _), number in samples.items() if sample == name)


OURS = {"target": "openai/gpt-4o-mini", "provider": "openai"}
CALL = {**OURS, "path": "/v1/chat/completions", "team": "search"}
SPEND = {**OURS, "team": "search"}


def test_a_call_counts_once_with_its_tokens_its_cost_and_its_times() -> None:
    observer = new_metrics()
    observer.call_ended(COMPLETED)
    observer.call_ended(COMPLETED)
    samples = scraped(observer)

    assert value(samples, "tollkeeper_calls_total", **CALL, end="completed") == 2
    assert value(samples, "tollkeeper_attempts_total", **SPEND, end="completed") == 2
    assert value(samples, "tollkeeper_usage_total", **SPEND, bucket="cache_read", basis="provider") == 1600
    assert value(samples, "tollkeeper_cost_usd_total", **SPEND) == 0.0032
    assert value(samples, "tollkeeper_unpriced_calls_total", **CALL, end="completed") == 0
    assert value(samples, "tollkeeper_call_duration_seconds_count", **OURS) == 2
    assert value(samples, "tollkeeper_call_duration_seconds_bucket", **OURS, le="0.32") == 2
    assert value(samples, "tollkeeper_call_duration_seconds_bucket", **OURS, le="0.16") == 0
    assert value(samples, "tollkeeper_time_to_first_token_seconds_bucket", **OURS, le="0.25") == 2
    assert value(samples, "tollkeeper_inter_token_latency_seconds_sum", **OURS) == 0.0202
    assert value(samples, "tollkeeper_overhead_seconds_bucket", **OURS, le="0.0002") == 2
    assert value(samples, "tollkeeper_build_info", version="1.2.3") == 1


def test_a_refused_call_has_no_target_and_costs_nothing() -> None:
    observer = new_metrics()
    observer.call_ended(REFUSED)
    samples = scraped(observer)

    labels = {"path": "/v1/chat/completions", "team": "search", "target": "", "provider": ""}
    assert value(samples, "tollkeeper_calls_total", **labels, end="refused") == 1
    assert total(samples, "tollkeeper_attempts_total") == 0
    assert total(samples, "tollkeeper_cost_usd_total") == 0


def test_unknown_cost_and_estimated_usage_are_told_beside_the_sums() -> None:
    """Known faults 13 and 23: unknown is counted as unknown, and adds nothing to the known."""
    observer = new_metrics()
    unpriced = replace(ATTEMPT, cost_nano=None, cost_at_least_nano=5, usage_basis=Basis.ESTIMATED)
    observer.call_ended(replace(COMPLETED, attempts=(unpriced,)))
    observer.call_ended(COMPLETED)
    samples = scraped(observer)

    assert value(samples, "tollkeeper_unpriced_calls_total", **CALL, end="completed") == 1
    assert value(samples, "tollkeeper_estimated_calls_total", **CALL, end="completed") == 1
    assert value(samples, "tollkeeper_cost_usd_total", **SPEND) == 0.0016
    assert value(samples, "tollkeeper_usage_total", **SPEND, bucket="input", basis="estimated") == 200
    assert value(samples, "tollkeeper_usage_total", **SPEND, bucket="input", basis="provider") == 200


def test_every_attempt_counts_at_its_own_target() -> None:
    """Known fault 28: calls and attempts are two counts."""
    observer = new_metrics()
    failed = replace(ATTEMPT, target="openai/gpt-4o", end=End.FAILED, usage=NOTHING_KNOWN, usage_basis=Basis.NONE)
    observer.call_ended(replace(COMPLETED, attempts=(failed, replace(ATTEMPT, index=1))))
    samples = scraped(observer)

    assert total(samples, "tollkeeper_calls_total") == 1
    first = {**SPEND, "target": "openai/gpt-4o"}
    assert value(samples, "tollkeeper_attempts_total", **first, end="failed") == 1
    assert value(samples, "tollkeeper_attempts_total", **SPEND, end="completed") == 1


def test_a_client_cannot_make_series() -> None:
    observer = new_metrics()
    for number in range(3000):
        observer.call_ended(at_target(f"box/made-up-{number}"))
    samples = scraped(observer)

    labels = {**CALL, "target": "box/other", "provider": "box", "end": "completed"}
    assert value(samples, "tollkeeper_calls_total", **labels) == 3000
    assert len([key for key in samples if key[0] == "tollkeeper_calls_total"]) == 1


def test_teams_and_targets_beyond_the_bound_share_one_label() -> None:
    observer = new_metrics()
    for number in range(metrics.MAX_TEAMS + 5):
        observer.call_ended(at_target("openai/gpt-4o-mini", team=f"team-{number}"))
    for number in range(metrics.MAX_TARGETS + 5):
        observer.call_ended(at_target(f"openai/model-{number}", team=None))
    samples = scraped(observer)

    labels = [dict(labels) for name, labels in samples if name == "tollkeeper_calls_total"]
    assert len({label["team"] for label in labels}) == metrics.MAX_TEAMS + 2
    assert len({label["target"] for label in labels}) == metrics.MAX_TARGETS + 1
    assert total(samples, "tollkeeper_calls_total") == metrics.MAX_TEAMS + metrics.MAX_TARGETS + 10


def test_no_label_names_a_key_or_an_end_user() -> None:
    observer = new_metrics()
    facts = replace(FACTS, end_user="alice@example.com", session="s-1", labels={"feature": "x-label"})
    observer.call_ended(replace(COMPLETED, facts=facts))
    text = generate_latest(observer.registry).decode()
    assert not any(word in text for word in ("alice", "s-1", "x-label", "key-1", '"ci"', '"fast"'))


def test_requests_without_a_valid_key_are_counted_by_reason() -> None:
    observer = new_metrics()
    for reason in ("missing", "unknown", "unknown"):
        observer.rejected(reason)
    samples = scraped(observer)
    assert value(samples, "tollkeeper_rejected_requests_total", reason="unknown") == 2
    assert value(samples, "tollkeeper_rejected_requests_total", reason="missing") == 1


def test_the_lag_of_the_ledger_is_told_and_an_unknown_lag_is_not_zero() -> None:
    stats = StorageStats(backlog_bytes=4096, oldest_frame_age_seconds=1.5, dead_letters=2, torn_frames=1)
    samples = scraped(new_metrics(stats))
    assert value(samples, "tollkeeper_journal_backlog_bytes") == 4096
    assert value(samples, "tollkeeper_journal_oldest_frame_age_seconds") == 1.5
    assert value(samples, "tollkeeper_ledger_dead_letters") == 2
    assert value(samples, "tollkeeper_journal_torn_frames_total") == 1
    assert value(samples, "tollkeeper_journal_corrupt_frames_total") is None


def test_a_scrape_in_another_thread_finds_every_call() -> None:
    observer = new_metrics()
    scrapes = 0
    done = threading.Event()

    def scrape() -> None:
        nonlocal scrapes
        while not done.is_set():
            generate_latest(observer.registry)
            scrapes += 1

    thread = threading.Thread(target=scrape)
    thread.start()
    for number in range(5000):
        observer.call_ended(at_target(f"openai/model-{number % 300}"))
    done.set()
    thread.join()
    assert scrapes > 0
    assert total(scraped(observer), "tollkeeper_calls_total") == 5000


def test_many_observers_do_not_share_their_counts() -> None:
    first, second = new_metrics(), new_metrics()
    first.call_ended(COMPLETED)
    assert total(scraped(second), "tollkeeper_calls_total") == 0


def test_a_call_of_every_end_is_counted() -> None:
    observer = new_metrics()
    for end in End:
        observer.call_ended(CallRecord(FACTS, end, None))
    samples = scraped(observer)
    ends = {dict(labels)["end"] for name, labels in samples if name == "tollkeeper_calls_total"}
    assert ends == {str(end) for end in End}


def test_how_much_is_known_is_one_look_at_all_series() -> None:
    """Known fault 29: coverage is a number that somebody can see."""
    observer = new_metrics()
    assert observer.known() == Known(0, 0, 0)
    unpriced = replace(ATTEMPT, cost_nano=None)
    estimated = replace(ATTEMPT, usage_basis=Basis.ESTIMATED)
    for attempt in (ATTEMPT, unpriced, estimated):
        observer.call_ended(replace(COMPLETED, attempts=(attempt,)))
    observer.call_ended(at_target("gpu/llama"))
    observer.call_ended(REFUSED)
    assert observer.known() == Known(calls=5, unpriced=1, estimated=1)


class Worker:
    """One of several that show each other what they counted, as JSON takes it."""

    def __init__(self, shown: dict[int, Told], place: int, stats: StorageStats | None = None) -> None:
        self.shown, self.place = shown, place
        self.metrics = Metrics(
            "1.2.3",
            lambda _: True,
            lambda: stats or StorageStats(),
            everybody=self.everybody,
            before=shown.get(place),
        )

    def show(self) -> None:
        self.shown[self.place] = orjson.loads(orjson.dumps(self.metrics.told(), option=orjson.OPT_NON_STR_KEYS))

    def everybody(self) -> list[Told]:
        self.show()
        return list(self.shown.values())


def test_whichever_worker_is_asked_tells_the_sum_over_all() -> None:
    shown: dict[int, Told] = {}
    one, two = Worker(shown, 0), Worker(shown, 1)
    alone = new_metrics()
    for worker, record in ((one, COMPLETED), (one, REFUSED), (two, COMPLETED), (two, at_target("openai/other"))):
        worker.metrics.call_ended(record)
        alone.call_ended(record)
    for observer in (one.metrics, two.metrics, alone):
        observer.rejected("missing")
    alone.rejected("missing")
    two.show()
    expected = {key: number for key, number in scraped(alone).items() if key[0].startswith("tollkeeper_")}
    assert len(expected) > 100
    for worker in (one, two):
        of_all = scraped(worker.metrics)
        assert {key: of_all[key] for key in expected} == expected
        assert len([key for key in of_all if key[0].startswith("tollkeeper_")]) == len(expected)


def test_a_worker_that_was_replaced_still_counts() -> None:
    """A counter that fell would look like a new beginning, and add all others' counts a second time."""
    shown: dict[int, Told] = {}
    first, other = Worker(shown, 0, StorageStats(torn_frames=2, journal_bytes=8)), Worker(shown, 1)
    first.metrics.call_ended(COMPLETED)
    first.metrics.rejected("unknown")
    first.show()
    spent = shown[0]["process"]["process_cpu_seconds"]
    second = Worker(shown, 0, StorageStats(torn_frames=1, journal_bytes=4))
    second.metrics.call_ended(COMPLETED)
    for worker in (second, other):
        samples = scraped(worker.metrics)
        assert value(samples, "tollkeeper_calls_total", **CALL, end="completed") == 2
        assert value(samples, "tollkeeper_rejected_requests_total", reason="unknown") == 1
        assert value(samples, "tollkeeper_cost_usd_total", **SPEND) == 0.0032
        assert value(samples, "tollkeeper_journal_torn_frames_total") == 3
        assert value(samples, "tollkeeper_journal_bytes") == 4
    assert shown[0]["process"]["process_cpu_seconds"] >= spent


def test_the_lag_of_several_is_that_of_the_worst_and_the_bytes_are_those_of_all() -> None:
    shown: dict[int, Told] = {}
    slow = StorageStats(backlog_bytes=100, oldest_frame_age_seconds=7.5, dead_letters=2, journal_bytes=10)
    quick = StorageStats(backlog_bytes=1, oldest_frame_age_seconds=0, dead_letters=2, journal_bytes=10)
    Worker(shown, 0, slow).show()
    samples = scraped(Worker(shown, 1, quick).metrics)
    assert value(samples, "tollkeeper_journal_backlog_bytes") == 101
    assert value(samples, "tollkeeper_journal_oldest_frame_age_seconds") == 7.5
    assert value(samples, "tollkeeper_ledger_dead_letters") == 2, "all of them tell of one file"
    assert value(samples, "tollkeeper_journal_bytes") == 20
    assert value(samples, "tollkeeper_log_lines_dropped_total") is None
