"""What the demo plays: providers that cost nothing, priced like real ones, and teams with habits."""

import json
from dataclasses import dataclass
from pathlib import Path

_SETTINGS = """\
# The settings of a demo. Every provider here is simulated: nothing is asked, nothing is spent.
server: {{host: 127.0.0.1, port: {port}, keys: required, data: {folder}}}
providers:
  sim-openai: {{kind: simulated, simulate: {{ttft: 260ms, itl: 11ms, output_tokens: 90, errors: 0.02, seed: 1}}}}
  sim-mistral: {{kind: simulated, simulate: {{ttft: 140ms, itl: 7ms, output_tokens: 70, errors: 0.12, seed: 2}}}}
  sim-deepseek: {{kind: simulated, simulate: {{ttft: 420ms, itl: 13ms, output_tokens: 100, errors: 0.04, seed: 3}}}}
  sim-gpu: {{kind: simulated, simulate: {{ttft: 60ms, itl: 5ms, output_tokens: 80, seed: 4}}}}
models:
  fast: {{targets: [sim-mistral/mistral-small-latest, sim-openai/gpt-4o-mini]}}
  smart: {{targets: [sim-openai/gpt-4o, sim-deepseek/deepseek-chat]}}
  gpt-4o-mini: {{targets: [sim-openai/gpt-4o-mini]}}
  o3-mini: {{targets: [sim-openai/o3-mini]}}
  deepseek-chat: {{targets: [sim-deepseek/deepseek-chat]}}
  embeddings: {{targets: [sim-openai/text-embedding-3-small]}}
  llama-3.1-8b: {{targets: [sim-gpu/llama-3.1-8b]}}
prices:
  sim-openai/*: {{like: openai}}
  sim-mistral/*: {{like: mistral}}
  sim-deepseek/*: {{like: deepseek}}
  sim-gpu/*: {{usd_per_million: {{input: "0.05", output: "0.20"}}}}
"""

CALLS_PER_SECOND = 14.0


@dataclass(frozen=True, slots=True)
class Habit:
    """One way in which a team uses a model. Shares from 0 to 1."""

    weight: float
    model: str
    path: str = "chat/completions"
    streams: float = 0.0
    """The share of calls that are streamed."""
    leaves: float = 0.0
    """The share of streams whose reader hangs up before the end."""
    prompt_words: tuple[int, int] = (30, 200)
    max_tokens: int = 300


TEAMS = {
    "search": (
        Habit(4, "fast", streams=0.8, leaves=0.08, prompt_words=(20, 120)),
        Habit(2, "embeddings", path="embeddings", prompt_words=(10, 400)),
    ),
    "support": (
        # A long instruction before every question: what prompt caches are made for.
        Habit(4, "gpt-4o-mini", streams=0.9, leaves=0.04, prompt_words=(1100, 1600)),
        Habit(1, "smart", streams=0.5),
    ),
    "research": (
        Habit(2, "smart", streams=0.6, prompt_words=(200, 1500), max_tokens=400),
        Habit(1, "o3-mini", prompt_words=(100, 600), max_tokens=500),
        Habit(1, "deepseek-chat", streams=0.5, prompt_words=(200, 900)),
    ),
    "platform": (Habit(3, "llama-3.1-8b", streams=0.3, prompt_words=(50, 500)),),
}


def write_settings(folder: Path, port: int) -> Path:
    """Write the settings file of a demo into its folder."""
    file = folder / "tollkeeper.yaml"
    file.write_text(_SETTINGS.format(port=port, folder=json.dumps(str(folder))), encoding="utf-8")
    return file
