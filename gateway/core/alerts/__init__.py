"""Alerts: what happened and how it is told, and the rules that say when."""
