"""The lifecycle's values in the wire's words. Pure."""

from livecalc.domain.claims import read_claim
from livecalc.domain.namespaces import CREATED_AT, LAST_ACTIVITY, NamespaceRecord, Status
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.outcome import ReapOutcome
from livecalc.wire import namespaces as wire


def view_namespace(record: NamespaceRecord, *, pods: int, volume_claims: int) -> wire.Namespace:
    """A namespace and what is in it."""
    claim = read_claim(record)
    return wire.Namespace(
        namespace=record.name,
        bucket_id=record.bucket_id,
        created_at=created_at(record),
        last_activity=None if record.last_activity is None else record.annotations[LAST_ACTIVITY],
        status=_status(record),
        pod_count=pods,
        pvc_count=volume_claims,
        retention=record.retention,
        reaped_by=claim.holder or None if claim is not None else None,
    )


def created_at(record: NamespaceRecord) -> str:
    """When a namespace was made, as its annotation says, else the cluster."""
    return record.annotations.get(CREATED_AT) or format_timestamp(record.created_at)


def view_reaped(outcome: ReapOutcome) -> wire.Reaped:
    """The answer to a reap."""
    return wire.Reaped(
        success=outcome.success,
        namespace=outcome.namespace,
        diagnostics=wire.ReapDiagnostics(
            logs_archived=outcome.state in {"Complete", "PartiallyComplete"},
            sentinel_violations_indexed=outcome.violations,
            blob_paths=outcome.blob_paths,
        ),
        message=outcome.message,
    )


def _status(record: NamespaceRecord) -> str:
    if read_claim(record) is not None:
        return Status.REAPING
    return record.status or "unknown"
