"""What a store says on a disk that is full or read-only. Runs in a mount namespace of its own.

`narrow_disk.py FOLDER` mounts 4 MiB of memory there, writes until it is full, and again when it is read-only; it
prints one line of JSON: what the errors said, which blobs are there and whole, and what lies about.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path

from livecalc.blobs.directory import DirectoryStore
from livecalc.blobs.directory.grants import FileGrants
from livecalc.blobs.port import Verb, read_all
from livecalc.domain.errors import LivecalcError

MIB = 1024 * 1024
SOURCE = b"y" * 8 * MIB
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


async def body(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 4096):
        yield b"x" * 4096


async def told(call: Awaitable[object]) -> str:
    try:
        await call
    except LivecalcError as error:
        return f"{type(error).__name__}: {error.detail}"
    return "ok"


async def told_by_grant(store: DirectoryStore, source: Path) -> str:
    url = await store.grant("box", "by-grant", Verb.CREATE, expires_at=FAR, limit=100 * MIB)
    digest = hashlib.sha256(SOURCE).hexdigest()
    return await told(asyncio.to_thread(FileGrants().create, url, source, sha256=digest))


async def whole(store: DirectoryStore) -> list[str]:
    found: list[str] = []
    async for info in store.list_blobs("box"):
        content = await read_all(store, "box", info.name)
        assert hashlib.sha256(content).hexdigest() == info.sha256
        found.append(info.name)
    return found


async def use(folder: Path, source: Path) -> dict[str, object]:
    store = DirectoryStore(folder / "blobs")
    first = await told(store.write("box", "first", b"x" * MIB))
    key = await told(store.grant("box", "first", Verb.READ, expires_at=FAR, limit=0))
    streamed = await told(store.write("box", "streamed/a", body(8 * MIB)))
    at_once = await told(store.write("box", "at-once/a", b"x" * 8 * MIB))
    granted = await told_by_grant(store, source)
    small = [await told(store.write("box", f"small/{number}", b"x" * 4096)) for number in range(1500)]
    left = [path.name for path in (folder / "blobs/.tmp").iterdir()]
    kept = await whole(store)
    mount("-o", "remount,ro", str(folder))
    read_only = await told(store.write("box", "late", b"x"))
    deleted = await told(store.delete("box", "first"))
    return {
        "first": first, "key": key, "streamed": streamed, "at_once": at_once, "granted": granted, "left": left,
        "small_ok": small.count("ok"), "small": sorted(set(small) - {"ok"})[:3], "kept": kept, "read_only": read_only,
        "deleted": deleted, "still": await whole(store),
    }  # fmt: skip


def main(folder: Path) -> None:
    source = folder.with_name("source")
    source.write_bytes(SOURCE)
    mount("-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder))
    sys.stdout.write(json.dumps(asyncio.run(use(folder, source))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
