"""What the operating system says of this process: processor time, memory, files; and of several together.

The names are those of prometheus_client, which knows how to ask.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

_SPENT: Final = "process_cpu_seconds"
"""The one figure that a process leaves behind."""
_NOT_ADDED: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Of several processes the smallest."""

_collector = ProcessCollector(registry=CollectorRegistry())
_HELP: Final = {
    "process_virtual_memory_bytes": "Virtual memory size in bytes.",
    "process_resident_memory_bytes": "Resident memory size in bytes.",
    "process_start_time_seconds": "Start time of the process since unix epoch in seconds.",
    _SPENT: "Total user and system CPU time spent in seconds.",
    "process_open_fds": "Number of open file descriptors.",
    "process_max_fds": "Maximum number of open file descriptors.",
}


def process_figures(before: Mapping[str, float]) -> dict[str, float]:
    """By name; nothing where the system does not tell. `before`: the figures of a process that this one replaces."""
    figures = {family.name: family.samples[0].value for family in _collector.collect() if family.samples}
    if _SPENT in figures:
        figures[_SPENT] += before.get(_SPENT, 0.0)
    return figures


def process_families(of_each: Sequence[Mapping[str, float]]) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """The figures of one process, or of several that serve as one."""
    for name, documentation in _HELP.items():
        values = [figures[name] for figures in of_each if name in figures]
        if values:
            kind = CounterMetricFamily if name == _SPENT else GaugeMetricFamily
            yield kind(name, documentation, value=min(values) if name in _NOT_ADDED else sum(values))
