"""Runs in llama.cpp's own environment, in the model's folder: its HTTP server, out of the wheel `xllamacpp`.

Arguments: the port, `chat` or `embeddings`, and `name=value` pairs of its parameters.
"""

import ast
import signal
import sys


def main(port: str, mode: str, *pairs: str) -> None:
    import xllamacpp  # type: ignore[import-not-found]  # installed beside, see installed.py

    parameters = xllamacpp.CommonParams()
    parameters.model.path = "tiny-toll.gguf"
    parameters.model_alias = {"tiny-toll"}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = int(port)
    parameters.n_ctx = 4096
    parameters.n_parallel = 2  # slots; each gets half of n_ctx
    parameters.cpuparams.n_threads = 1
    if mode == "embeddings":
        parameters.embedding = True
        parameters.pooling_type = 1  # mean
    for pair in pairs:
        name, value = pair.split("=", 1)
        setattr(parameters, name, ast.literal_eval(value))
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main(*sys.argv[1:])
