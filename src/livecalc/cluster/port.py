"""What the platform needs of a cluster. Kubernetes' semantics are the contract; `tests/contracts/` holds them to it.

Every method may raise Unavailable (the cluster does not answer in time). A namespace that does not exist is NotFound.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct, field

from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.receipts import ArchiveReceipt, ArchiveWaiver

MAIN_CONTAINER = "main"


class Termination(Struct, frozen=True, kw_only=True):
    """How one run of a container ended."""

    exit_code: int
    """As a shell would say it: 137 is SIGKILL."""
    reason: str = ""
    """`Completed`, `Error`, `OOMKilled`, `DeadlineExceeded`, ..."""
    message: str = ""
    """The termination message, of a longer one the last 4,096 bytes."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerRecord(Struct, frozen=True, kw_only=True):
    """One container of a pod: its present run, and the one before after a restart."""

    name: str
    kind: Literal["main", "init", "sidecar", "ephemeral"] = "main"
    state: Literal["waiting", "running", "terminated"]
    reason: str = ""
    """Why it waits, or never started (`ContainerCreating`, `ImagePullBackOff`, ...); empty otherwise, and for one of
    which the cluster has no status, so that nobody knows whether it started."""
    message: str = ""
    started_at: datetime | None = None
    terminated: Termination | None = None
    previous: Termination | None = None
    restarts: int = 0


class PodRecord(Struct, frozen=True, kw_only=True):
    """A pod at the moment it was read."""

    name: str
    uid: str
    namespace: str
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    job: str = ""
    """The cluster job that made it; empty for any other pod."""
    index: int | None = None
    """Its completion index in that job."""
    node: str = ""
    reason: str = ""
    """`Evicted`, `NodeLost`, `Unschedulable`, ...; empty when all is well."""
    message: str = ""
    created_at: datetime
    deletion_timestamp: datetime | None = None
    containers: tuple[ContainerRecord, ...] = ()

    @property
    def alive(self) -> bool:
        """Whether it may still do work."""
        return self.phase in {"Pending", "Running", "Unknown"}


class EventRecord(Struct, frozen=True, kw_only=True):
    """Something that the cluster says happened."""

    time: datetime
    type: str
    """`Normal` or `Warning`."""
    reason: str
    object: str
    """`Pod/worker-1`."""
    message: str
    count: int = 1


class VolumeClaimRecord(Struct, frozen=True, kw_only=True):
    """A persistent volume claim."""

    name: str
    uid: str
    namespace: str
    phase: str
    volume: str = ""
    """The volume it is bound to; empty before."""


class VolumeRecord(Struct, frozen=True, kw_only=True):
    """A persistent volume; it belongs to no namespace and may outlive the one whose claim it was bound to."""

    name: str
    phase: str
    """`Bound`, `Released`, `Failed`, ..."""
    claim: str = ""
    """`{namespace}/{claim}` that it is or was bound to."""
    reclaim_policy: str = "Delete"


class PodTemplate(Struct, frozen=True, kw_only=True):
    """What a job's pods run; one container named `main`."""

    image: str
    """By digest on Kubernetes; the local cluster runs the command as a process and only records it."""
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Plain settings. The cluster adds JOB_COMPLETION_INDEX, LIVECALC_NAMESPACE, LIVECALC_POD_NAME,
    LIVECALC_POD_UID, LIVECALC_TERMINATION_MESSAGE (a file to write) and LIVECALC_SCRATCH (a folder that goes with
    the pod)."""
    secret: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings that nobody who lists pods may see."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    cpu: float = 1.0
    memory: int = 4 << 30
    """Bytes; a pod over it is killed (137)."""


class JobSpec(Struct, frozen=True, kw_only=True):
    """A job of `partitions` pods, one for each completion index from 0."""

    name: str
    partitions: int
    template: PodTemplate
    retries: int = 3
    """How often one index is tried again after an end that is not final."""
    final_exits: frozenset[int] = frozenset()
    """Exit codes that fail the whole job at once."""
    deadline_seconds: float
    """From the job's creation; then its pods are killed and it fails with `DeadlineExceeded`."""


class ClusterJob(Struct, frozen=True, kw_only=True):
    """A job as the cluster sees it. Its pods stay to be read until their namespace goes."""

    name: str
    uid: str
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    partitions: int
    state: Literal["pending", "running", "succeeded", "failed"]
    """`pending` until a first pod runs; `failed` once one index has failed for good or the deadline has passed."""
    reason: str = ""
    """`DeadlineExceeded`, `BackoffLimitExceeded`, `PodFailurePolicy`, `Cancelled`."""
    message: str = ""
    succeeded: frozenset[int] = frozenset()
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class NamespaceList(Struct, frozen=True, kw_only=True):
    """A list of namespaces, and whether it is the whole."""

    items: tuple[NamespaceRecord, ...]
    complete: bool
    """False when a page could not be read: then nothing idle may be reaped."""


class Cluster(Protocol):
    """The port. All times are the cluster's own; all writes are atomic."""

    @property
    def name(self) -> str:
        """What people call this cluster: `local`, or `kubernetes, context prod-weu`."""
        ...

    @property
    def slots(self) -> int:
        """How many pods of ours it can run at once; the default number of partitions."""
        ...

    async def version(self) -> str:
        """The version of what runs the cluster, as it says it; archives keep it."""
        ...

    async def now(self) -> datetime:
        """The cluster's clock, which alone decides what is idle."""
        ...

    async def create_namespace(
        self, name: str, *, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> NamespaceRecord:
        """Create a namespace. Raises AlreadyExists, also while one of that name is terminating."""
        ...

    async def get_namespace(self, name: str) -> NamespaceRecord:
        """Read one namespace. Raises NotFound."""
        ...

    async def list_namespaces(self, labels: Mapping[str, str]) -> NamespaceList:
        """List the namespaces that carry all these labels, by name."""
        ...

    async def patch_namespace(
        self,
        record: NamespaceRecord,
        *,
        annotations: Mapping[str, str | None] | None = None,
        add_finalizer: str | None = None,
        remove_finalizer: str | None = None,
        any_version: bool = False,
    ) -> NamespaceRecord:
        """Change annotations (None removes) and finalizers, if uid and resource version are still the record's.

        `any_version` checks the uid alone. A patch that changes nothing keeps the resource version. Taking the
        last finalizer from a terminating, empty namespace ends it; the answer is then its last state.
        Raises NotFound (also when the uid is another), PreconditionFailed (the version moved on), Conflict (a new
        finalizer for a terminating namespace).
        """
        ...

    async def delete_namespace(self, record: NamespaceRecord, receipt: ArchiveReceipt | ArchiveWaiver) -> None:
        """Begin to delete a namespace and all in it, if uid and resource version are still the record's.

        It becomes Terminating: no new object can be made in it, pods get SIGTERM and later SIGKILL, claims and their
        volumes go, then the namespace once it has no finalizers. Deleting a terminating namespace is no error.
        Raises NotFound, PreconditionFailed, InvalidInput (the receipt is of another namespace).
        """
        ...

    async def list_pods(self, namespace: str) -> list[PodRecord]:
        """List the pods of a namespace, by name; an empty list when there is no such namespace."""
        ...

    def read_log(
        self, namespace: str, pod: str, container: str = MAIN_CONTAINER, *, previous: bool = False, follow: bool = False
    ) -> AsyncIterator[bytes]:
        """Stream a container's log as its node still has it: the newest rotated file only.

        Raises NotFound when the pod, the container or the log is gone. `follow` ends with the container.
        """
        ...

    async def annotate_pod(self, namespace: str, pod: str, annotations: Mapping[str, str]) -> None:
        """Set annotations on a pod. Raises NotFound."""
        ...

    async def list_events(self, namespace: str) -> list[EventRecord]:
        """List the events of a namespace, oldest first; an empty list when there is no such namespace."""
        ...

    async def list_volume_claims(self, namespace: str) -> list[VolumeClaimRecord]:
        """List the claims of a namespace, by name; an empty list when there is no such namespace."""
        ...

    async def list_volumes(self) -> list[VolumeRecord]:
        """List all volumes, by name."""
        ...

    async def create_job(self, namespace: str, spec: JobSpec) -> ClusterJob:
        """Create a job. Raises AlreadyExists, NotFound, Conflict (the namespace is terminating)."""
        ...

    async def list_jobs(self, namespace: str) -> list[ClusterJob]:
        """List the jobs of a namespace, by name; an empty list when there is no such namespace."""
        ...

    async def cancel_job(self, namespace: str, name: str) -> None:
        """Kill a job's pods and keep job and pods to be read; it fails with reason `Cancelled`.

        A finished job stays as it is. Raises NotFound.
        """
        ...

    async def delete_job(self, namespace: str, name: str) -> None:
        """Delete a job and its pods. Raises NotFound."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
