"""Observers of `CallRecord`: log lines and metrics. They see every call and change none."""
