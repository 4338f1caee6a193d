"""The platform as one frozen value: everything an API needs, built and closed by `bootstrap`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.bundles.store import BundleStore
from livecalc.cluster.port import Cluster
from livecalc.identity.port import KeySource
from livecalc.identity.verifier import Verifier
from livecalc.jobs.service import Jobs
from livecalc.lifecycle.diagnostics.reader import Diagnostics
from livecalc.lifecycle.namespaces import NamespaceManager
from livecalc.lifecycle.reaper import Reaper
from livecalc.lifecycle.retention.curator import Curator
from livecalc.lifecycle.retention.holds import Holds
from livecalc.mttc.verify import Recomputer


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Services by what they are for. Ports are here for health checks alone."""

    now: Callable[[], datetime]
    cluster: Cluster
    blobs: BlobStore
    verifier: Verifier
    published_keys: KeySource | None
    """What the API shows as its own JWKS; None when another party publishes the keys."""
    audit: AuditLog
    bundles: BundleStore
    namespaces: NamespaceManager
    reaper: Reaper
    jobs: Jobs
    recomputer: Recomputer
    diagnostics: Diagnostics
    curator: Curator
    holds: Holds
