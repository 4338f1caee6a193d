"""What an operator decides about a bucket's namespace and the pods in it."""

from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct, field

Network = IPv4Network | IPv6Network


class Toleration(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Lets pods on nodes with a taint (core/v1 Toleration)."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class PodSettings(Struct, frozen=True, kw_only=True):
    """Where workers run, and as whom."""

    node_selector: dict[str, str] = field(default_factory=dict[str, str])
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets; whoever runs the cluster sees to it that they are in each bucket's namespace."""
    grace_seconds: int = 30
    """From SIGTERM to SIGKILL."""
    user: int = 65532
    """The user and group that containers run as, whatever their image says."""
    scratch: str = "10Gi"
    """Of disk that a pod may fill; over it, it is evicted."""


class CellSettings(Struct, frozen=True, kw_only=True):
    """What a bucket's namespace allows."""

    egress: tuple[Network, ...]
    """Where pods may connect to, besides DNS and the API server: the blob store."""
    quota: dict[str, str] = field(
        default_factory=lambda: {
            "pods": "2000",
            "persistentvolumeclaims": "100",
            "services": "0",
            "count/deployments.apps": "0",
            "count/statefulsets.apps": "0",
        }
    )
    """`hard` of the ResourceQuota."""
    container_memory: str = "4Gi"
    """The limit of a container that names none."""
    container_request: dict[str, str] = field(default_factory=lambda: {"cpu": "100m", "memory": "256Mi"})
    """The request of a container that names none."""
