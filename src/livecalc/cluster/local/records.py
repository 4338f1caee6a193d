"""Rows as the port's records."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from livecalc.cluster.local.store import Row
from livecalc.cluster.port import (
    MAIN_CONTAINER,
    ClusterJob,
    ContainerRecord,
    EventRecord,
    PodRecord,
    Termination,
    VolumeClaimRecord,
    VolumeRecord,
)
from livecalc.domain.namespaces import NamespaceRecord

_texts = msgspec.json.Decoder(dict[str, str])
_names = msgspec.json.Decoder(tuple[str, ...])


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as an aware moment."""
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


def decode_texts(text: str) -> dict[str, str]:
    """Read a column of labels or annotations."""
    return _texts.decode(text)


def encode(value: object) -> str:
    """Write a column of labels, annotations or names."""
    return msgspec.json.encode(value).decode()


def namespace_record(row: Row) -> NamespaceRecord:
    """A row of `namespaces`."""
    return NamespaceRecord(
        name=row["name"],
        uid=row["uid"],
        resource_version=str(row["version"]),
        labels=_texts.decode(row["labels"]),
        annotations=_texts.decode(row["annotations"]),
        finalizers=_names.decode(row["finalizers"]),
        created_at=moment(row["created"]),
        deletion_timestamp=_maybe(row["deleted"]),
        content_gone=bool(row["content_gone"]),
        blockers=_names.decode(row["blockers"]),
    )


def pod_record(row: Row) -> PodRecord:
    """A row of `pods`."""
    return PodRecord(
        name=row["name"],
        uid=row["uid"],
        namespace=row["namespace"],
        phase=row["phase"],
        labels=_texts.decode(row["labels"]),
        annotations=_texts.decode(row["annotations"]),
        job=row["job_name"],
        index=row["position"],
        node=row["node"],
        reason=row["reason"],
        message=row["message"],
        created_at=moment(row["created"]),
        deletion_timestamp=_maybe(row["deleted"]),
        containers=(_main_container(row),),
    )


def _main_container(row: Row) -> ContainerRecord:
    if row["exit_code"] is not None:
        return ContainerRecord(
            name=MAIN_CONTAINER,
            state="terminated",
            started_at=_maybe(row["started"]),
            terminated=Termination(
                exit_code=row["exit_code"],
                reason=row["exit_reason"],
                message=row["exit_message"],
                started_at=_maybe(row["started"]),
                finished_at=_maybe(row["finished"]),
            ),
        )
    if row["phase"] == "Running":
        return ContainerRecord(name=MAIN_CONTAINER, state="running", started_at=_maybe(row["started"]))
    why = "Queued" if row["phase"] == "Pending" else row["reason"]  # of a job that was stopped before its turn came
    return ContainerRecord(name=MAIN_CONTAINER, state="waiting", reason=why)


def job_record(row: Row, succeeded: Sequence[int]) -> ClusterJob:
    """A row of `jobs`, and the indexes that have succeeded."""
    over = row["finished"] is not None
    return ClusterJob(
        name=row["name"],
        uid=row["uid"],
        namespace=row["namespace"],
        labels=_texts.decode(row["labels"]),
        partitions=row["partitions"],
        state=row["state"],
        reason=row["reason"] if over else "",
        message=row["message"] if over else "",
        succeeded=frozenset(succeeded),
        created_at=moment(row["created"]),
        started_at=_maybe(row["started"]),
        finished_at=_maybe(row["finished"]),
    )


def event_record(row: Row) -> EventRecord:
    """A row of `events`."""
    return EventRecord(
        time=moment(row["time"]),
        type=row["type"],
        reason=row["reason"],
        object=row["object"],
        message=row["message"],
        count=row["count"],
    )


def claim_record(row: Row) -> VolumeClaimRecord:
    """A row of `claims`."""
    return VolumeClaimRecord(
        name=row["name"],
        uid=row["uid"],
        namespace=row["namespace"],
        phase=row["phase"],
        volume=row["volume"],
    )


def volume_record(row: Row) -> VolumeRecord:
    """A row of `volumes`."""
    return VolumeRecord(
        name=row["name"],
        phase=row["phase"],
        claim=row["claim"],
        reclaim_policy=row["policy"],
    )
