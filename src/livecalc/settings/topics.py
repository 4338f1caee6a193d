"""What can be set, by topic. The environment's names are the contract; `docs/settings.md` explains each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct

from livecalc.domain.errors import InvalidInput

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

_NAMES = (
    "3 to 22 of a-z, 0-9 and single '-', but not audit, bundles, results or regulatory, nor one of these with a '-' "
    "after it: those names are for other purposes"
)

# What a setting may be stands in its description too, which is what its refusal says.
Hours = Annotated[float, Meta(gt=0, le=8784, description="a number of hours above 0, at most 8784 (366 days)")]
Seconds = Annotated[float, Meta(gt=0, le=86_400, description="a number of seconds above 0, at most 86400 (a day)")]
Count = Annotated[int, Meta(ge=1, description="a whole number, at least 1")]
ContainerName = Annotated[
    str,
    Meta(
        pattern=r"^(?!(audit|bundles|results|regulatory)(-|\Z))[a-z0-9](-?[a-z0-9]){2,21}\Z",
        max_length=22,
        description=_NAMES,
    ),
]


class _Secretive(Struct, frozen=True):
    """Shows itself, in logs and tracebacks, without the fields that hold secrets."""

    hidden: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the same where rich prints."""
        told = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, value if value is None or name not in self.hidden else "(hidden)") for name, value in told]


class TargetSettings(
    _Secretive,
    frozen=True,
    kw_only=True,
    rename={
        "home": "LIVECALC_HOME",
        "url": "LIVECALC_URL",
        "token": "LIVECALC_TOKEN",
        "token_file": "LIVECALC_TOKEN_FILE",
        "token_command": "LIVECALC_TOKEN_COMMAND",
        "cluster": "LIVECALC_CLUSTER",
    },
):
    """Which platform a command talks to, and as whom."""

    hidden = frozenset({"url", "token", "token_command"})

    home: str = "~/.livecalc"
    url: str | None = None
    token: str | None = None
    token_file: str | None = None
    token_command: str | None = None
    cluster: Literal["local", "kubernetes"] = "local"

    @property
    def home_folder(self) -> Path:
        """The folder of the embedded platform, absolute."""
        return Path(self.home).expanduser().absolute()


class StoreSettings(
    _Secretive,
    frozen=True,
    kw_only=True,
    rename={
        "connection_string": "AZURE_BLOB_CONNECTION_STRING",
        "account_url": "AZURE_BLOB_ACCOUNT_URL",
        "diagnostics": "DIAGNOSTIC_CONTAINER_NAME",
    },
):
    """Where blobs are kept."""

    hidden = frozenset({"connection_string", "account_url"})

    connection_string: str | None = None
    account_url: str | None = None
    diagnostics: ContainerName = "diagnostics"

    @property
    def is_azure(self) -> bool:
        """Whether blobs lie in a storage account; else under the home."""
        return self.connection_string is not None or self.account_url is not None


class IdentitySettings(
    Struct,
    frozen=True,
    kw_only=True,
    rename={"jwks_url": "ASSUMPTIONS_MANAGER_JWKS_URL", "issuer": "JWT_ISSUER", "audience": "JWT_AUDIENCE"},
):
    """Whose tokens are believed; without a JWKS address, the home's own key pair."""

    jwks_url: str | None = None
    issuer: str | None = None
    audience: str | None = None


class LifecycleSettings(
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "inactivity_hours": "INACTIVITY_THRESHOLD_HOURS",
        "archive_policy": "ARCHIVE_POLICY",
        "concurrency": "REAP_CONCURRENCY",
        "max_reaps": "MAX_REAPS",
    },
):
    """When namespaces end, and how."""

    inactivity_hours: Hours = 24.0
    archive_policy: Literal["best-effort", "required"] = "best-effort"
    concurrency: Count = 8
    max_reaps: Count = 500


class JobSettings(
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "image": "WORKER_IMAGE",
        "egress": "WORKER_EGRESS_CIDRS",
        "deadline_hours": "JOB_DEADLINE_HOURS",
        "log_limit_mib": "LOG_LIMIT_MIB",
        "mttc_target": "MTTC_TARGET_SECONDS",
    },
):
    """How jobs run. Raises InvalidInput for networks that are none."""

    image: str | None = None
    egress: str = ""
    """As it was given; see `egress_networks`."""
    deadline_hours: Hours = 24.0
    log_limit_mib: Count = 1024
    mttc_target: Seconds = 120.0

    def __post_init__(self) -> None:
        """Refuse networks early."""
        _ = self.egress_networks

    @property
    def egress_networks(self) -> "tuple[IPv4Network | IPv6Network, ...]":
        """Where workers on Kubernetes may connect to; the local cluster does not use it."""
        if not self.egress:
            return ()
        return tuple(_network(text.strip(), self.egress) for text in self.egress.split(","))


class BundleSettings(
    Struct,
    frozen=True,
    kw_only=True,
    rename={"mib": "BUNDLE_LIMIT_MIB", "files": "BUNDLE_LIMIT_FILES", "ratio": "BUNDLE_LIMIT_RATIO"},
):
    """What a bundle may hold."""

    mib: Count = 2048
    files: Count = 10_000
    ratio: Count = 100


class LogSettings(Struct, frozen=True, kw_only=True, rename={"level": "LOG_LEVEL", "format": "LOG_FORMAT"}):
    """How processes log."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


def _network(text: str, given: str) -> "IPv4Network | IPv6Network":
    from ipaddress import ip_network

    try:
        if "/" in text:
            return ip_network(text)
    except ValueError:
        pass
    raise InvalidInput(
        f"WORKER_EGRESS_CIDRS={given!r} is not valid: {text!r} is no network; use some like 10.0.0.0/8,192.0.2.0/24"
    )
