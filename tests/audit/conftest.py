"""A chain in a store of the test's own."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from audit.clock import Clock

from livecalc.audit.log import AuditLog
from livecalc.blobs.directory import DirectoryStore
from livecalc.domain.audit import AuditRecord
from livecalc.domain.tenants import Principal


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)


@pytest.fixture
def log(store: DirectoryStore, clock: Clock) -> AuditLog:
    return AuditLog(store, now=clock)


@pytest.fixture
def jane() -> Principal:
    return Principal(tenant_id="acme", user_id="jane")


@pytest.fixture
def fill(log: AuditLog, clock: Clock) -> Callable[[int], Awaitable[list[AuditRecord]]]:
    """Append so many records of tenant acme, a second apart."""

    async def record(count: int) -> list[AuditRecord]:
        found: list[AuditRecord] = []
        for number in range(count):
            clock.forward(seconds=1)
            found.append(
                await log.record(
                    tenant_id="acme",
                    user_id="jane",
                    operation="submit",
                    phase="intent",
                    request_id=f"request-{number}",
                    detail={"number": number},
                )
            )
        return found

    return record
