"""Alerts: the rules that watch what calls cost and how they go, and what they find. Decides; never reads or sends."""
