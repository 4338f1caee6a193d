"""The client: one method for each thing the API can do, typed on both sides."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from livecalc.client.events import follow
from livecalc.client.http import Http, path
from livecalc.client.job import JobHandle
from livecalc.client.models import Pack, hash_of, open_bundle
from livecalc.domain.buckets import NAMESPACE_PREFIX
from livecalc.domain.errors import InvalidInput, NotFound
from livecalc.domain.jobs import is_job_id
from livecalc.wire import media
from livecalc.wire.diagnostics import (
    LATEST,
    Archive,
    ArchiveVerification,
    AuditEntry,
    AuditVerification,
    Reindexed,
    SentinelViolation,
)
from livecalc.wire.jobs import BundlePushed, Job, Result, Submitted
from livecalc.wire.mttc import Verified, VerifyRequest
from livecalc.wire.namespaces import Namespace, NamespaceCreated, Reaped
from livecalc.wire.retention import Hold, HoldRequest
from livecalc.wire.status import Status

_FEWEST_CHARACTERS = 8
_MOST_CANDIDATES = 10
_PAGE = 1000


class Client:
    """Speaks to one platform as one user. Every method raises the errors of `domain.errors`.

    Times are given as aware datetimes, or as texts like `2026-01-25T01:00:00Z`.
    """

    def __init__(self, http: httpx.Client, *, target: str, pack: Pack | None = None) -> None:
        """`target` is what people call the platform; `pack` lets `submit` and `push` take more than bundle files."""
        self._client = http
        self._http = Http(http, target)
        self._pack = pack
        self.target = target

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<livecalc client of {self.target}>"

    def tell_notices(self, tell: Callable[[str], None]) -> None:
        """Have the sentences that say what was left out of an answer go to `tell`; else they are logged."""
        self._http.tell = tell

    def close(self) -> None:
        """Let go of connections; a platform in this process is closed."""
        self._client.close()

    def status(self) -> Status:
        """See who you are, and what answers."""
        return self._http.get(path("platform", "status"), Status)

    def push(self, model: str | Path) -> BundlePushed:
        """Upload a bundle file, or a model's folder or an example's name, which is packed first."""
        with open_bundle(Path(model), self._pack) as file:
            headers = {"Content-Type": media.BUNDLE}
            return self._http.post_body(path("bundles"), BundlePushed, content=file, headers=headers)

    def resolve_bundle(self, prefix: str) -> str:
        """Complete the first digits, 8 or more, of a bundle's hash."""
        return self._http.get(path("bundles", prefix), BundlePushed).model_bundle_hash

    def submit(  # noqa: PLR0913  (the fields of a submit)
        self,
        model: str | Path,
        *,
        bucket: str,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        partitions: int | None = None,
        deadline_seconds: float | None = None,
        retention: str | None = None,
        submit_key: str | None = None,
    ) -> JobHandle:
        """Run a model in a bucket: a folder, an example's name, a bundle file, or the hash of a bundle that is there.

        Asking again with the same `submit_key`, after an answer that was lost, gives the same job.
        """
        fields: list[tuple[str, Any]] = [
            (field, (None, str(value)))
            for field, value in (
                ("bucket_id", bucket),
                ("name", name),
                ("labels", msgspec.json.encode(labels).decode() if labels else None),
                ("partitions", partitions),
                ("deadline_seconds", deadline_seconds),
                ("retention", retention),
                ("submit_key", submit_key),
            )
            if value is not None
        ]
        with ExitStack() as stack:
            digest = hash_of(model)
            if digest is not None:
                fields.append(("model_bundle_hash", (None, digest)))
            else:
                file = stack.enter_context(open_bundle(Path(model), self._pack))
                fields.append(("bundle", ("bundle.zip", file, media.BUNDLE)))
            submitted = self._http.post_body(path("jobs", "submit"), Submitted, files=fields)
        return JobHandle(self, submitted)

    def job(self, job_id: str) -> Job:
        """Read a job, alive or long gone."""
        return self._http.get(path("jobs", job_id), Job)

    def jobs(
        self,
        *,
        bucket_id: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
        since: datetime | str | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """List jobs, newest first."""
        wanted = [f"{key}={value}" for key, value in (labels or {}).items()]
        return self._http.get(
            path("jobs"), list[Job], bucket_id=bucket_id, state=state, label=wanted, since=since, limit=limit
        )

    def resolve_job(self, prefix: str) -> str:
        """Complete the first characters, 8 or more, of a job id. Raises InvalidInput, which lists the candidates."""
        if is_job_id(prefix):
            return prefix
        if len(prefix) < _FEWEST_CHARACTERS:
            raise InvalidInput(f"job {prefix!r} is too short: give {_FEWEST_CHARACTERS} characters or more")
        jobs = self._http.get(path("jobs"), list[Job], prefix=prefix, limit=_MOST_CANDIDATES)
        found = [job.job_id for job in jobs]
        if not found:
            raise NotFound(f"there is no job {prefix!r}")
        if len(found) > 1:
            raise InvalidInput(f"job {prefix!r} is ambiguous: {', '.join(sorted(found))} begin so")
        return found[0]

    def handle(self, job_id: str) -> JobHandle:
        """Take up a job that was submitted before."""
        job = self.job(job_id)
        return JobHandle(
            self,
            Submitted(
                job_id=job.job_id,
                bucket_id=job.bucket_id,
                namespace=job.namespace,
                model_bundle_hash=job.model_bundle_hash,
                status_url=path("jobs", job.job_id),
            ),
        )

    def watch(self, job_id: str) -> Iterator[Job]:
        """Yield the job now, whenever it changes, and last when it has ended; survives a server's restart."""
        return follow(lambda: self._http.stream(path("jobs", job_id, "events"), {"Accept": media.EVENTS}))

    def logs(self, job_id: str, *, follow: bool = False) -> Iterator[bytes]:
        """Stream what a job's workers print, or printed."""
        return self._http.stream(path("jobs", job_id, "logs"), patient=follow, follow=follow)

    def result(self, job_id: str) -> Result:
        """Read the summary of a succeeded job's outputs."""
        return self._http.get(path("jobs", job_id, "result"), Result)

    def download_result(self, job_id: str, form: str, *, outputs: Sequence[str] = ()) -> Iterator[bytes]:
        """Stream every value of a succeeded job's outputs as `arrow`, `parquet` or `csv` (or `json`: the summary)."""
        if form not in media.RESULT_FORMATS:
            raise InvalidInput(f"format {form!r} is unknown: use {', '.join(media.RESULT_FORMATS)}")
        accept = {"Accept": media.RESULT_FORMATS[form]}
        return self._http.stream(path("jobs", job_id, "result"), accept, patient=True, output=outputs)

    def cancel(self, job_id: str) -> Job:
        """Stop a job; one that has ended stays as it is."""
        return self._http.post(path("jobs", job_id, "cancel"), Job)

    def namespaces(self, *, recomputations: bool = False) -> list[Namespace]:
        """List all namespaces of the tenant, by name."""
        return self._http.get_pages(
            path("platform", "namespaces"), Namespace, limit=_PAGE, recomputations=recomputations
        )

    def namespace(self, name: str) -> Namespace:
        """Read one namespace."""
        return self._http.get(path("platform", "namespaces", name), Namespace)

    def create_namespace(self, bucket_id: str, *, retention: str | None = None) -> NamespaceCreated:
        """Make a bucket's namespace, or find it active."""
        return self._http.post(
            path("platform", "namespaces"), NamespaceCreated, bucket_id=bucket_id, retention=retention
        )

    def finalize(self, name: str, *, force: bool = False) -> Namespace:
        """Give a namespace no more work; `force` cancels the jobs that run."""
        return self._http.post(path("platform", "namespaces", name, "finalize"), Namespace, patient=True, force=force)

    def reap(self, name: str, *, bucket_id: str | None = None, force: bool = False) -> Reaped:
        """Archive and delete a namespace now; its bucket is taken from its name when it is not given."""
        bucket = bucket_id or name.removeprefix(NAMESPACE_PREFIX)
        return self._http.post(
            path("platform", "namespaces", name, "reap"), Reaped, patient=True, bucket_id=bucket, force=force
        )

    def verify(self, bucket_id: str, model_bundle_hash: str, *, job_id: str | None = None) -> Verified:
        """Recompute a run and compare; without a job the latest that succeeded."""
        request = VerifyRequest(bucket_id=bucket_id, model_bundle_hash=model_bundle_hash, job_id=job_id)
        headers = {"Content-Type": media.JSON}
        return self._http.post_body(
            path("platform", "mttc", "verify"), Verified, content=msgspec.json.encode(request), headers=headers
        )

    def archives(self, bucket_id: str | None = None) -> list[Archive]:
        """List archives, of one bucket or of all."""
        return self._http.get(path("platform", "diagnostics"), list[Archive], bucket_id=bucket_id)

    def manifest(self, bucket_id: str, timestamp: str) -> bytes:
        """Read an archive's manifest, JSON, byte for byte as it is stored."""
        return self._http.get_bytes(path("platform", "diagnostics", bucket_id, timestamp))

    def blob(self, name: str, *, offset: int = 0) -> Iterator[bytes]:
        """Stream a blob of an archive, `{bucket_id}/{timestamp}/...`, from an offset on."""
        headers = {"Range": f"bytes={offset}-"} if offset else None
        return self._http.stream(path("platform", "diagnostics", *name.split("/")), headers)

    def verify_archive(
        self, bucket_id: str, timestamp: str = LATEST, *, blobs_only: bool = False
    ) -> ArchiveVerification:
        """Check every blob of an archive against its manifest, and that against its schema and the audit record.

        Without a timestamp the bucket's newest, by what is there and by the audit record. With `blobs_only`
        the record, which may be long, is not read.
        """
        where = path("platform", "diagnostics", bucket_id, timestamp, "verify")
        return self._http.get(where, ArchiveVerification, patient=True, blobs_only=blobs_only)

    def verify_archives(self) -> Iterator[ArchiveVerification]:
        """Check all archives, one after the other; also those that are gone, and last (`*`) what is of no archive."""
        return self._http.lines(path("platform", "diagnostics", "verify"), ArchiveVerification)

    def violations(
        self, *, since: datetime | str | None = None, bucket_id: str | None = None, limit: int = 100
    ) -> list[SentinelViolation]:
        """List the sentinel violations of all archives, newest first."""
        where = path("platform", "diagnostics", "sentinel-violations")
        return self._http.get(where, list[SentinelViolation], since=since, bucket_id=bucket_id, limit=limit)

    def reindex(self, *, check: bool = False) -> Reindexed:
        """Make the index of sentinel violations anew from the archives; `check` only compares."""
        return self._http.post(path("platform", "diagnostics", "reindex"), Reindexed, patient=True, check=check)

    def holds(self) -> list[Hold]:
        """List legal holds, by bucket and archive."""
        return self._http.get(path("platform", "retention", "holds"), list[Hold])

    def hold(self, bucket_id: str, *, timestamp: str | None = None, reason: str) -> Hold:
        """Keep an archive, or everything of a bucket, from being deleted until it is released."""
        request = HoldRequest(bucket_id=bucket_id, timestamp=timestamp, reason=reason)
        headers = {"Content-Type": media.JSON}
        return self._http.post_body(
            path("platform", "retention", "holds"), Hold, content=msgspec.json.encode(request), headers=headers
        )

    def release(self, bucket_id: str, *, timestamp: str | None = None) -> Hold:
        """Take a legal hold away, and return it."""
        return self._http.delete(path("platform", "retention", "holds"), Hold, bucket_id=bucket_id, timestamp=timestamp)

    def audit(self, *, since: datetime | str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Read who did what, newest first."""
        page = min(limit, _PAGE)
        return self._http.get_pages(path("platform", "audit"), AuditEntry, most=limit, since=since, limit=page)

    def verify_audit(self, *, head: str | Sequence[str] | None = None) -> AuditVerification:
        """Check the audit record; `head` is one noted elsewhere, or several, which it must still contain."""
        heads = [head] if isinstance(head, str) else head
        return self._http.get(path("platform", "audit", "verify"), AuditVerification, head=heads)
