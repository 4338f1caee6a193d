"""What can be set, by topic. The environment's names are the contract; `docs/settings.md` explains each."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

Hours = Annotated[float, Meta(gt=0, le=24 * 366)]
Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
ContainerName = Annotated[str, Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){2,21}$", max_length=22)]


class TargetSettings(
    Struct,
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
    Struct,
    frozen=True,
    kw_only=True,
    rename={
        "connection_string": "AZURE_BLOB_CONNECTION_STRING",
        "account_url": "AZURE_BLOB_ACCOUNT_URL",
        "diagnostics": "DIAGNOSTIC_CONTAINER_NAME",
    },
):
    """Where blobs are kept."""

    connection_string: str | None = None
    account_url: str | None = None
    diagnostics: ContainerName = "diagnostics"


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
        "deadline_hours": "JOB_DEADLINE_HOURS",
        "log_limit_mib": "LOG_LIMIT_MIB",
        "mttc_target": "MTTC_TARGET_SECONDS",
    },
):
    """How jobs run."""

    image: str | None = None
    deadline_hours: Hours = 24.0
    log_limit_mib: Count = 1024
    mttc_target: Seconds = 120.0


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
