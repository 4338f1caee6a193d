"""A process without a key: it opens an account by an identity, and signs by a delegation key. Prints what it saw."""

import asyncio
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from livecalc.blobs.azure import connect
from livecalc.blobs.https import HttpsGrants
from livecalc.blobs.port import Verb, read_all
from livecalc.domain.errors import LivecalcError


async def run(address: str, folder: Path) -> dict[str, str]:
    source, copy = folder / "source", folder / "copy"
    source.write_bytes(b"result")
    end = datetime.now(UTC) + timedelta(hours=1)
    seen: dict[str, str] = {}
    async with connect(account_url=address) as store:
        url = await store.grant("results", "a", Verb.CREATE, expires_at=end, limit=6)
        await asyncio.to_thread(HttpsGrants().create, url, source, sha256=hashlib.sha256(b"result").hexdigest())
        seen["stored"] = (await read_all(store, "results", "a")).decode()
        url = await store.grant("results", "a", Verb.READ, expires_at=end, limit=6)
        await asyncio.to_thread(HttpsGrants().fetch, url, copy, limit=6)
        seen["fetched"] = copy.read_text()
        seen["signed by"] = "a delegation key" if "&skoid=" in url else "the account's key"
        try:
            await store.grant("results", "a", Verb.READ, expires_at=end + timedelta(days=7), limit=6)
        except LivecalcError as error:
            seen["too long"] = error.detail
    return seen


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(run(sys.argv[1], Path(sys.argv[2])))))
