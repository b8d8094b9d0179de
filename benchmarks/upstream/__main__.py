"""`python -m benchmarks.upstream OPTIONS`, as JSON: prints its port, ends with its parent's pipe."""

import asyncio
import json
import sys

import uvloop

from benchmarks.upstream import Options
from benchmarks.upstream.connection import Connection, Upstream


async def serve(options: Options) -> None:
    upstream = Upstream(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(upstream), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the one who started us lets go, however that comes about


if __name__ == "__main__":
    uvloop.run(serve(Options(**json.loads(sys.argv[1]))))
