"""A chain in a store of the test's own."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from livecalc.audit.log import AuditLog
from livecalc.blobs.directory import DirectoryStore
from livecalc.domain.audit import AuditRecord
from livecalc.domain.tenants import Principal

START = datetime(2026, 1, 25, 1, 0, tzinfo=UTC)

Recorder = Callable[[int], Awaitable[list[AuditRecord]]]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **parts: float) -> None:
        self.time += timedelta(**parts)


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
def fill(log: AuditLog, clock: Clock) -> Recorder:
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
