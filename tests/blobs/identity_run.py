"""A process without a key: it opens an account by an identity, and signs by a delegation key. Prints what it saw."""

import asyncio
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from livecalc.blobs.azure import connect
from livecalc.blobs.azure.grants import LONGEST, DelegationKeys
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
        seen["listed"] = " ".join([info.name async for info in store.list_blobs("results")])
    return seen | await keys(address)


async def keys(address: str) -> dict[str, str]:
    """Sign as time goes by; what is seen is when the key began that signed."""
    clock = [datetime.now(UTC) - timedelta(days=6, hours=20)]
    async with DefaultAzureCredential() as credential, BlobServiceClient(address, credential=credential) as service:
        signer = DelegationKeys(service, now=lambda: clock[0])

        async def sign(later: timedelta, life: timedelta) -> str:
            clock[0] += later
            query = parse_qs(await signer.sign("results", "a", Verb.READ, clock[0] + life))
            early = clock[0] - datetime.fromisoformat(query["st"][0])
            assert timedelta(minutes=15) <= early < timedelta(minutes=15, seconds=2), early
            return query["skt"][0]

        hour = timedelta(hours=1)
        begins = [
            await sign(timedelta(0), hour),
            await sign(2 * hour, hour),
            await sign(hour, LONGEST),
            await sign(LONGEST - 2 * hour, hour),
            await sign(1.5 * hour, hour / 4),
        ]
    return {"keys": "".join(str(sorted(set(begins)).index(begin)) for begin in begins)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(run(sys.argv[1], Path(sys.argv[2])))))
