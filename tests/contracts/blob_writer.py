"""A process that races others: `blob_writer.py ADAPTER PLACE CONTAINER NAMES WHO` prints the names that it won."""

import asyncio
import sys

from blob_adapters import open_store

from livecalc.domain.errors import AlreadyExists


async def race(adapter: str, place: str, container: str, names: int, who: str) -> None:
    async with open_store(adapter, place) as store:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        for name in (f"shared/{number}" for number in range(names)):
            try:
                await store.write(container, name, f"{who} wrote {name}".encode())
            except AlreadyExists:
                continue
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    adapter, place, container, names, who = sys.argv[1:]
    asyncio.run(race(adapter, place, container, int(names), who))
