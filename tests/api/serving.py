"""Serve a home until SIGTERM: `serving.py HOME PORT SWEEP_EVERY`; what is announced goes to standard output."""

import asyncio
import sys

from livecalc.api.serve import serve
from livecalc.bootstrap.service import open_platform
from livecalc.domain.errors import LivecalcError
from livecalc.settings import load


async def main(home: str, port: int, every: float) -> None:
    async with open_platform(load({"LIVECALC_HOME": home})) as platform:
        await serve(platform, "127.0.0.1", port, sweep_every=every, announce=lambda line: print(line, flush=True))  # noqa: T201  (for the test)
    print("closed", flush=True)  # noqa: T201  (for the test)


try:
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
except LivecalcError as error:
    print(type(error).__name__, error.detail, flush=True)  # noqa: T201  (for the test)
    sys.exit(1)
