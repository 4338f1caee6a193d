"""A process that appends to one tenant's chain: `appender.py ROOT WHO COUNT`."""

import asyncio
import sys
from pathlib import Path

from livecalc.audit.log import AuditLog
from livecalc.blobs.directory import DirectoryStore
from livecalc.domain.tenants import Principal


async def append(root: Path, who: str, count: int) -> None:
    log = AuditLog(DirectoryStore(root))
    principal = Principal(tenant_id="acme", user_id=who)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(count):
        async with log.operation(principal=principal, operation="submit", request_id=f"{who}-{number}"):
            pass


if __name__ == "__main__":
    asyncio.run(append(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
