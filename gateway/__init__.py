"""Tollkeeper: a client-side LLM usage gateway and cost monitor."""

__version__ = "0.1.0"
