"""What the system says of this process, alone and added up."""

from gateway.telemetry.process import process_families, process_figures


def values(*figures: dict[str, float]) -> dict[str, float]:
    return {sample.name: sample.value for family in process_families(figures) for sample in family.samples}


def test_this_process_has_figures() -> None:
    figures = process_figures({})
    assert figures["process_resident_memory_bytes"] > 1e6
    assert values(figures)["process_cpu_seconds_total"] == figures["process_cpu_seconds"]


def test_several_add_up_but_for_what_cannot_be_added() -> None:
    one = {"process_cpu_seconds": 1.0, "process_open_fds": 5.0, "process_start_time_seconds": 100.0}
    assert values(one, one | {"process_start_time_seconds": 200.0}) == {
        "process_cpu_seconds_total": 2,
        "process_open_fds": 10,
        "process_start_time_seconds": 100,
    }


def test_the_time_of_a_process_that_was_replaced_is_not_lost() -> None:
    assert process_figures({"process_cpu_seconds": 1e6})["process_cpu_seconds"] > 1e6
