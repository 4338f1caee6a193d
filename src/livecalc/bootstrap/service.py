"""Build the platform from settings: each port is named once and handed one adapter. Closed in reverse order."""

import getpass
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from livecalc.audit.log import AuditLog
from livecalc.blobs.port import BlobStore
from livecalc.bootstrap.home import Home, keep_to_store, open_home
from livecalc.bundles.limits import Limits
from livecalc.bundles.store import BundleStore
from livecalc.cluster.port import Cluster
from livecalc.domain.errors import InvalidInput
from livecalc.identity.port import KeySource
from livecalc.identity.verifier import Verifier
from livecalc.jobs.launch import GRANT_SLACK, Launcher, WorkerSpec
from livecalc.jobs.logs import JobLogs
from livecalc.jobs.service import Jobs
from livecalc.jobs.views import JobViews
from livecalc.lifecycle.archive.index import ViolationIndex
from livecalc.lifecycle.diagnostics.reader import Diagnostics
from livecalc.lifecycle.namespaces import NamespaceManager
from livecalc.lifecycle.policy import ReaperPolicy
from livecalc.lifecycle.reaper import Reaper
from livecalc.lifecycle.retention.curator import Curator, RetentionPolicy
from livecalc.lifecycle.retention.holds import Holds
from livecalc.mttc.verify import Recomputer
from livecalc.records.book import JobBook
from livecalc.records.collect import SUBMIT_GRACE, Collector
from livecalc.services import Platform
from livecalc.settings import Settings
from livecalc.telemetry.versions import versions

LOCAL_TENANT = "local"


class Adapters(Struct, frozen=True, kw_only=True):
    """One adapter for each port."""

    cluster: Cluster
    blobs: BlobStore
    keys: KeySource
    issuer: str | None
    audience: str | None
    published: KeySource | None = None
    """The keys that the API shows at its own JWKS address; None when another party publishes them."""


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncGenerator[Platform, None]:
    """Open adapters, assemble the platform on them, close them in reverse.

    Raises InvalidInput for settings that this version cannot serve, Unavailable or Damaged for a bad home.
    """
    async with AsyncExitStack() as stack:
        adapters = await open_adapters(settings, stack)
        yield assemble(settings, adapters)


async def open_adapters(settings: Settings, stack: AsyncExitStack) -> Adapters:
    """Open the adapters that the settings name; `stack` closes them."""
    from livecalc.cluster.local import LocalCluster

    _refuse_unserved(settings)
    # Before a home is made: a store that is refused leaves nothing behind.
    account = await _open_account(settings, stack)
    home = open_home(settings.target.home_folder)
    keep_to_store(home, account.name if account else None)
    cluster = LocalCluster(home.cluster)
    stack.push_async_callback(cluster.close)
    blobs = account or _open_folder(home, stack)
    keys, issuer, audience, published = _identity(settings, home)
    stack.push_async_callback(keys.close)
    return Adapters(cluster=cluster, blobs=blobs, keys=keys, issuer=issuer, audience=audience, published=published)


def assemble(
    settings: Settings,
    adapters: Adapters,
    *,
    policy: ReaperPolicy | None = None,
    submit_grace: timedelta = SUBMIT_GRACE,
) -> Platform:
    """Build the services on open adapters. Does no I/O.

    `policy` takes the place of the reaper's that settings give; `submit_grace` is how long a recorded job may be
    unknown to the cluster before its submit counts as interrupted.
    """
    cluster, blobs = adapters.cluster, adapters.blobs
    audit = AuditLog(blobs, policy=settings.lifecycle.archive_policy, now=utc_now)
    book = JobBook(blobs)
    collector = Collector(book, cluster, audit, submit_grace=submit_grace)
    diagnostics = Diagnostics(blobs, settings.store.diagnostics, audit)
    bundles = BundleStore(blobs, limits=bundle_limits(settings))
    reaper = Reaper(
        cluster=cluster,
        blobs=blobs,
        audit=audit,
        book=book,
        collector=collector,
        policy=policy or reaper_policy(settings),
        now=utc_now,
    )
    namespaces = NamespaceManager(cluster=cluster, blobs=blobs, audit=audit, reaper=reaper)
    launcher = Launcher(
        cluster=cluster,
        blobs=blobs,
        book=book,
        worker=worker_spec(settings, slots=cluster.slots),
    )
    jobs = Jobs(
        cluster=cluster,
        namespaces=namespaces,
        bundles=bundles,
        book=book,
        collector=collector,
        launcher=launcher,
        views=JobViews(book, blobs, diagnostics),
        logs=JobLogs(cluster, blobs, collector, diagnostics),
        audit=audit,
        deadline_seconds=settings.jobs.deadline_hours * 3600,
    )
    recomputer = Recomputer(
        cluster=cluster,
        namespaces=namespaces,
        bundles=bundles,
        book=book,
        collector=collector,
        launcher=launcher,
        audit=audit,
        target_seconds=settings.jobs.mttc_target,
    )
    prefix = settings.store.diagnostics
    curator = Curator(
        cluster=cluster,
        blobs=blobs,
        audit=audit,
        index=ViolationIndex(blobs, prefix),
        policy=retention_policy(settings),
        now=utc_now,
    )
    return Platform(
        now=utc_now,
        cluster=cluster,
        blobs=blobs,
        verifier=Verifier(adapters.keys, issuer=adapters.issuer, audience=adapters.audience),
        published_keys=adapters.published,
        audit=audit,
        bundles=bundles,
        namespaces=namespaces,
        reaper=reaper,
        jobs=jobs,
        recomputer=recomputer,
        diagnostics=diagnostics,
        curator=curator,
        holds=Holds(cluster=cluster, blobs=blobs, audit=audit, prefix=prefix),
    )


def utc_now() -> datetime:
    """This process's clock; what is idle is decided by the cluster's."""
    return datetime.now(UTC)


def local_token(
    settings: Settings, *, tenant: str | None = None, user: str | None = None, ttl: timedelta = timedelta(hours=1)
) -> str:
    """Sign a token with the home's own key pair; by default for tenant `local` and the user of this machine."""
    from livecalc.identity.local import LocalIdentity

    if settings.identity.jwks_url is not None:
        raise InvalidInput("tokens come from the Assumptions Manager here (ASSUMPTIONS_MANAGER_JWKS_URL is set)")
    identity = LocalIdentity(open_home(settings.target.home_folder).identity)
    return identity.issue(
        tenant_id=LOCAL_TENANT if tenant is None else tenant, user_id=_user() if user is None else user, ttl=ttl
    )


def reaper_policy(settings: Settings) -> ReaperPolicy:
    """How reapers behave by the settings; what no setting names is as the policy has it."""
    return ReaperPolicy(
        idle_limit=timedelta(hours=settings.lifecycle.inactivity_hours),
        archive_policy=settings.lifecycle.archive_policy,
        concurrency=settings.lifecycle.concurrency,
        max_reaps=settings.lifecycle.max_reaps,
        diagnostics=settings.store.diagnostics,
    )


def retention_policy(settings: Settings) -> RetentionPolicy:
    """How a run of retention behaves by the settings; what no setting names is as the policy has it."""
    return RetentionPolicy(
        max_deletions=settings.lifecycle.max_reaps,
        concurrency=settings.lifecycle.concurrency,
        diagnostics=settings.store.diagnostics,
    )


def bundle_limits(settings: Settings) -> Limits:
    """The limits on bundles, in bytes, files, and unpacked to packed."""
    limits = settings.bundles
    return Limits(bytes=limits.mib << 20, files=limits.files, ratio=limits.ratio)


def worker_spec(settings: Settings, *, slots: int) -> WorkerSpec:
    """How workers are started as processes of this machine, which share its memory evenly."""
    found = versions()
    limits = bundle_limits(settings)
    image = settings.jobs.image or f"local/livecalc-{found['livecalc']}-python-{found['python']}"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // slots
    return WorkerSpec(
        image=image,
        command=(sys.executable, "-m", "livecalc.bootstrap.worker"),
        env={"LIVECALC_CLUSTER": "local", "LIVECALC_HOME": str(settings.target.home_folder), "WORKER_IMAGE": image},
        versions=found,
        limits={
            "bundle_bytes": limits.bytes,
            "bundle_files": limits.files,
            "bundle_ratio": limits.ratio,
            "log_bytes": settings.jobs.log_limit_mib << 20,
            "memory_bytes": memory,
        },
        memory=memory,
    )


def _identity(settings: Settings, home: Home) -> tuple[KeySource, str | None, str | None, KeySource | None]:
    if settings.identity.jwks_url is not None:
        from livecalc.identity.jwks import JwksUrl

        return JwksUrl(settings.identity.jwks_url), settings.identity.issuer, settings.identity.audience, None
    from livecalc.identity.local import AUDIENCE, ISSUER, LocalIdentity

    local = LocalIdentity(home.identity)
    return local, ISSUER, AUDIENCE, local


async def _open_account(settings: Settings, stack: AsyncExitStack) -> BlobStore | None:
    """Open the account that is set; None when blobs are to lie in the home."""
    store = settings.store
    if not store.is_azure:
        return None
    from livecalc.blobs.azure import connect

    if store.account_url is not None:
        _refuse_long_deadline(settings)
    return await stack.enter_async_context(
        connect(connection_string=store.connection_string, account_url=store.account_url)
    )


def _open_folder(home: Home, stack: AsyncExitStack) -> BlobStore:
    from livecalc.blobs.directory import DirectoryStore

    blobs = DirectoryStore(home.blobs)
    stack.push_async_callback(blobs.close)
    return blobs


def _refuse_long_deadline(settings: Settings) -> None:
    """Say at the start, not at the first submit, that no grant could be signed that outlives a job."""
    from livecalc.blobs.azure.grants import LONGEST

    hours = (LONGEST - GRANT_SLACK) // timedelta(hours=1)
    if settings.jobs.deadline_hours > hours:
        raise InvalidInput(
            f"JOB_DEADLINE_HOURS={settings.jobs.deadline_hours:g} is too long with AZURE_BLOB_ACCOUNT_URL, where "
            f"workers' grants live at most 7 days: set at most {hours}, or use AZURE_BLOB_CONNECTION_STRING"
        )


def _refuse_unserved(settings: Settings) -> None:
    if settings.target.cluster != "local":
        raise InvalidInput(
            f"LIVECALC_CLUSTER={settings.target.cluster} is not served by this version: unset it to run on this machine"
        )
    if settings.store.connection_string is not None and settings.store.account_url is not None:
        raise InvalidInput("AZURE_BLOB_CONNECTION_STRING and AZURE_BLOB_ACCOUNT_URL are both set: unset one of them")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
