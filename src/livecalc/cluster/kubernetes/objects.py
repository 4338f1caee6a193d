"""The parts of Kubernetes' objects that we read; what is not declared is not decoded."""

from datetime import datetime

from msgspec import Struct, field


class Owner(Struct, frozen=True):
    """Whom an object belongs to."""

    kind: str
    name: str
    controller: bool = False


class Manager(Struct, frozen=True):
    """Who wrote fields of an object."""

    manager: str = ""


class Meta(Struct, frozen=True, rename="camel"):
    """What every object says of itself."""

    name: str
    uid: str
    creation_timestamp: datetime
    namespace: str = ""
    resource_version: str = ""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    annotations: dict[str, str] = field(default_factory=dict[str, str])
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: datetime | None = None
    owner_references: tuple[Owner, ...] = ()


class Condition(Struct, frozen=True, rename="camel"):
    """One thing that is so, or is not."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return self.status == "True"


class NamespaceSpec(Struct, frozen=True):
    """`kubernetes` is a finalizer here until the content is gone."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Struct, frozen=True):
    """What the namespace controller says."""

    conditions: tuple[Condition, ...] = ()


class Namespace(Struct, frozen=True):
    """A Namespace."""

    metadata: Meta
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class Ended(Struct, frozen=True, rename="camel"):
    """How a container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Waiting(Struct, frozen=True):
    """Why a container waits."""

    reason: str = ""
    message: str = ""


class Running(Struct, frozen=True, rename="camel"):
    """Since when a container runs."""

    started_at: datetime | None = None


class ContainerState(Struct, frozen=True):
    """One of the three, or none."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Ended | None = None


class ContainerStatus(Struct, frozen=True, rename="camel"):
    """What kubelet says of a container."""

    name: str
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    restart_count: int = 0


class Container(Struct, frozen=True, rename="camel"):
    """A container of a pod's specification."""

    name: str
    restart_policy: str = ""
    """`Always` makes an init container a sidecar."""


class PodSpec(Struct, frozen=True, rename="camel"):
    """What a pod is to run."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    node_name: str = ""


class PodStatus(Struct, frozen=True, rename="camel"):
    """What became of a pod."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Struct, frozen=True):
    """A Pod."""

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class JobSpecification(Struct, frozen=True):
    """What a Job is to do."""

    completions: int = 1


class JobStatus(Struct, frozen=True, rename="camel"):
    """How far a Job has come."""

    conditions: tuple[Condition, ...] = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None
    completed_indexes: str = ""


class Job(Struct, frozen=True):
    """A Job."""

    metadata: Meta
    spec: JobSpecification = JobSpecification()
    status: JobStatus = JobStatus()


class Reference(Struct, frozen=True):
    """The object that something is about."""

    kind: str = ""
    name: str = ""
    namespace: str = ""


class Series(Struct, frozen=True, rename="camel"):
    """An event that came again and again."""

    count: int = 1
    last_observed_time: datetime | None = None


class Event(Struct, frozen=True, rename="camel"):
    """An Event."""

    metadata: Meta
    involved_object: Reference = Reference()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: Series | None = None


class ClaimSpec(Struct, frozen=True, rename="camel"):
    """What a claim is bound to."""

    volume_name: str = ""


class Phase(Struct, frozen=True):
    """The state of a claim or a volume."""

    phase: str = ""


class VolumeClaim(Struct, frozen=True):
    """A PersistentVolumeClaim."""

    metadata: Meta
    spec: ClaimSpec = ClaimSpec()
    status: Phase = Phase()


class VolumeSpec(Struct, frozen=True, rename="camel"):
    """What a volume is or was bound to, and what happens after."""

    claim_ref: Reference | None = None
    persistent_volume_reclaim_policy: str = "Delete"


class Volume(Struct, frozen=True):
    """A PersistentVolume."""

    metadata: Meta
    spec: VolumeSpec = VolumeSpec()
    status: Phase = Phase()


class Endpoint(Struct, frozen=True):
    """Addresses behind a service."""

    addresses: tuple[str, ...] = ()


class Port(Struct, frozen=True):
    """A port behind a service."""

    port: int | None = None
    protocol: str = "TCP"


class EndpointSlice(Struct, frozen=True):
    """An EndpointSlice."""

    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[Port, ...] = ()


class ServerVersion(Struct, frozen=True, rename="camel"):
    """What /version says."""

    git_version: str


class _ManagedMeta(Struct, frozen=True, rename="camel"):
    managed_fields: tuple[Manager, ...] = ()


class Managed(Struct, frozen=True):
    """Any object, as far as it says who wrote its fields."""

    metadata: _ManagedMeta

    @property
    def managers(self) -> set[str]:
        """Who did."""
        return {each.manager for each in self.metadata.managed_fields}
