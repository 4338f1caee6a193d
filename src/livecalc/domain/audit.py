"""Audit records, and the hash chain that makes them tamper-evident."""

import hashlib
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

GENESIS = "0" * 64
"""What the first record of a chain names as its previous hash."""


class AuditRecord(Struct, frozen=True, kw_only=True):
    """Who did what; one blob of a tenant's chain, named `{sequence:012}`."""

    sequence: int
    previous: str
    timestamp: str
    tenant_id: str
    user_id: str
    operation: str
    """`create-namespace`, `finalize`, `reap`, `submit`, `cancel`, `push-bundle`, `mttc-verify`, ..."""
    phase: Literal["intent", "outcome"]
    result: str | None = None
    """Of an outcome: `ok`, or what went wrong."""
    namespace: str | None = None
    bucket_id: str | None = None
    request_id: str
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    hash: str = ""


def seal(record: AuditRecord) -> AuditRecord:
    """Give a record its hash: SHA-256 over its JSON without `hash`, keys sorted, which includes `previous`."""
    content = msgspec.to_builtins(record)
    del content["hash"]
    return msgspec.structs.replace(record, hash=hashlib.sha256(canonical(content)).hexdigest())


def canonical(content: object) -> bytes:
    """Write JSON in the one way that is hashed: as `jq -cjS` does, so that anybody can check it."""
    return msgspec.json.encode(content, order="sorted").replace(b"\x7f", b"\\u007f")
