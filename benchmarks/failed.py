"""The one error of the benchmarks."""


class Failed(Exception):
    """Nothing can be measured, and why."""
