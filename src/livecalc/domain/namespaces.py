"""A bucket's namespace as the cluster knows it: the labels and annotations we put there, and what they mean."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from livecalc.domain.buckets import is_bucket_id, namespace_name
from livecalc.domain.retention import Retention
from livecalc.domain.tenants import Principal, tenant_key
from livecalc.domain.timestamps import format_timestamp, parse_timestamp

FINALIZER = "livecalc.io/reap"

LABELS = {"app": "livecalc", "managed-by": "livecalc-platform", "lifecycle": "transient"}
"""The three labels whose values are the same on all our namespaces."""

BUCKET_ID = "bucket-id"
TENANT_ID = "tenant-id"
CREATED_AT = "created-at"
LAST_ACTIVITY = "last-activity"
LAST_SUBMIT = "last-submit"
"""The job whose submit began last."""
LAST_JOB = "last-job"
"""The job that was created last."""
STATUS = "status"
FINALIZED_AT = "finalized-at"
RETENTION = "retention"
REAP_REASON = "reap-reason"
REAP_HOLDER = "reap-holder"
REAP_USER = "reap-user"
REAP_REQUEST = "reap-request"
REAP_STARTED_AT = "reap-started-at"
REAP_RENEWED_AT = "reap-renewed-at"
REAP_RENEWALS = "reap-renewals"
REAP_ARCHIVE = "reap-archive"
REAP_VOLUMES = "reap-volumes"


class Status(StrEnum):
    """Where a namespace stands; the `status` annotation is the only place that says it."""

    ACTIVE = "active"
    FINALIZED = "finalized"
    REAPING = "reaping"


class NamespaceRecord(Struct, frozen=True, kw_only=True):
    """A namespace at one resource version."""

    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    finalizers: tuple[str, ...] = ()
    created_at: datetime
    deletion_timestamp: datetime | None = None
    content_gone: bool = False
    """Terminating, and the cluster has removed everything inside; only finalizers hold the name."""
    blockers: tuple[str, ...] = ()
    """Terminating, and what keeps it: the cluster's own sentences, one per condition."""

    @property
    def bucket_id(self) -> str:
        """The bucket that the labels name; empty when they name none."""
        return self.labels.get(BUCKET_ID, "")

    @property
    def tenant_key(self) -> str:
        """The owner's key; empty when the label is missing."""
        return self.labels.get(TENANT_ID, "")

    @property
    def tenant_id(self) -> str:
        """The owner's `tenant_id` claim as it came; the key where the annotation is missing."""
        return self.annotations.get(TENANT_ID, self.tenant_key)

    @property
    def status(self) -> Status | None:
        """The status, or None when the annotation is missing or says something else."""
        try:
            return Status(self.annotations.get(STATUS, ""))
        except ValueError:
            return None

    @property
    def last_activity(self) -> datetime | None:
        """When it was last used, or None when that is unknown."""
        return parse_timestamp(self.annotations.get(LAST_ACTIVITY, ""))

    @property
    def retention(self) -> Retention:
        """The retention of its archive; the longer one when the annotation is not understood."""
        try:
            return Retention(self.annotations.get(RETENTION, Retention.STANDARD))
        except ValueError:
            return Retention.REGULATORY

    @property
    def terminating(self) -> bool:
        """Deleted, and not yet gone."""
        return self.deletion_timestamp is not None


def is_ours(record: NamespaceRecord) -> bool:
    """Tell whether all five labels are there and say the same as the name and the tenant's claim.

    Nothing else may ever be touched.
    """
    return why_not_ours(record) is None


def why_not_ours(record: NamespaceRecord) -> str | None:
    """Say in what a namespace differs from what we make; None when it is ours."""
    for key, value in LABELS.items():
        if record.labels.get(key) != value:
            return f"its label {key} is not {value}"
    if not record.tenant_key:
        return "it has no tenant-id label"
    if tenant_key(record.tenant_id) != record.tenant_key:
        return "its tenant-id annotation and label do not fit"
    if not is_bucket_id(record.bucket_id) or record.name != namespace_name(record.bucket_id):
        return "its name is not that of its bucket-id label"
    return None


def new_labels(bucket_id: str, tenant_id: str) -> dict[str, str]:
    """The five labels of a bucket's namespace."""
    return {**LABELS, BUCKET_ID: bucket_id, TENANT_ID: tenant_key(tenant_id)}


def new_annotations(tenant_id: str, retention: Retention, now: datetime) -> dict[str, str]:
    """The annotations that a bucket's namespace is born with."""
    moment = format_timestamp(now)
    return {
        TENANT_ID: tenant_id,
        CREATED_AT: moment,
        LAST_ACTIVITY: moment,
        STATUS: Status.ACTIVE,
        RETENTION: retention,
    }


def belongs_to(record: NamespaceRecord, principal: Principal) -> bool:
    """Tell whether a namespace is the caller's: ours, and with his key and claim."""
    return is_ours(record) and record.tenant_key == principal.tenant_key and record.tenant_id == principal.tenant_id
