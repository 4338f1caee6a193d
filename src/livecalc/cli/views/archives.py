"""Archives of reaped buckets as text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from livecalc.cli.format import NONE, between, count, day, moment, short, size
from livecalc.cli.tables import facts, table
from livecalc.cli.views.trees import tree
from livecalc.domain.retention import Retention
from livecalc.lifecycle.archive.manifest import ContainerLog, Manifest, PodViolations
from livecalc.wire.diagnostics import Archive, ArchiveVerification

if TYPE_CHECKING:
    from livecalc.cli.download import Fetched

_TERMS = {Retention.STANDARD: "standard, 30 days", Retention.REGULATORY: "regulatory, 7 years"}


def list_archives(archives: Sequence[Archive]) -> str:
    """One line for each archive."""
    rows = [
        [
            f"{each.bucket_id}/{each.timestamp}",
            each.state,
            str(each.blobs),
            size(each.bytes),
            str(each.violations),
            moment(each.reaped_at),
            each.reaped_by,
            day(each.retain_until),
        ]
        for each in archives
    ]
    headers = ["ARCHIVE", "STATE", "BLOBS", "SIZE", "VIOLATIONS", "REAPED", "BY", "EXPIRES"]
    return table(headers, rows, right=["BLOBS", "SIZE", "VIOLATIONS"])


def show_archive(
    manifest: Manifest, *, digest: str, checked: str, deleted: str, violations: Sequence[PodViolations]
) -> str:
    """Everything about one archive, for someone who was not there.

    `digest` is the manifest's own, `checked` what a verification found, `deleted` what became of the namespace.
    """
    took = between(manifest.claimed_at, manifest.archived_at)
    total = size(sum(blob.bytes for blob in manifest.blobs))
    retention = Retention(manifest.retention)
    head = facts(
        [
            ("Archive", f"{manifest.bucket_id}/{manifest.timestamp}   {manifest.state}"),
            ("Reaped", f"{moment(manifest.archived_at)} by {manifest.reaped_by} ({manifest.reason}), {took}"),
            ("Expires", f"{day(manifest.retain_until)} ({_TERMS[retention]})"),
            ("Manifest", f"{short(digest)}, {count(len(manifest.blobs), 'blob')}, {total}{checked}"),
            ("Deleted", deleted),
            ("Jobs", "\n".join(f"{job.job_id} {job.state} {short(job.result_hash)}" for job in manifest.jobs)),
            ("Missing", "\n".join(manifest.notes)),
            ("Replaces", manifest.supersedes or ""),
        ]
    )
    found = f"Sentinel violations: {_violations(manifest.violations, violations)}"
    logs = list_logs(manifest) if manifest.pods else "No pod ran in this namespace."
    return f"{head}\n\n{logs}\n{found}"


def list_logs(manifest: Manifest) -> str:
    """The log of each run of each container, there or not."""
    rows = [
        [pod.name, _container(log), log.state, size(log.bytes) if log.blob else NONE, short(log.sha256), _note(log)]
        for pod in manifest.pods
        for log in pod.containers
    ]
    return table(["POD", "CONTAINER", "STATE", "SIZE", "SHA256", "NOTE"], rows, right=["SIZE"])


def draw_archive(manifest: Manifest) -> str:
    """The blobs as a tree, the manifest last as it is written."""
    logs = {log.blob: log.state for log in manifest.containers if log.blob}
    leaves = {
        blob.name: f"{size(blob.bytes):>9}  {short(blob.sha256)}  {logs.get(blob.name, '')}" for blob in manifest.blobs
    }
    return tree({**leaves, "manifest.json": ""})


def verdict(verification: ArchiveVerification) -> str:
    """What a verification found, in one line."""
    amount = f"{count(verification.blobs, 'blob')}, {size(verification.bytes)}"
    if verification.holds:
        return f"{verification.archive}: {amount}, as the manifest and the audit record say"
    if verification.archive == "*":
        return f"beside the archives: {count(len(verification.differences), 'difference')}"
    return f"{verification.archive}: {count(len(verification.differences), 'difference')} in {amount}"


def tell_fetched(fetched: "Fetched") -> str:
    """What a download came to, in one line; the blobs are those that the manifest lists."""
    amount = count(fetched.blobs, "blob")
    whole = amount if fetched.whole == fetched.blobs else f"{fetched.whole} of {amount}"
    return f"{fetched.folder}/: {whole} and the manifest, {size(fetched.bytes)}, {fetched.fetched} fetched now"


def _container(log: ContainerLog) -> str:
    return f"{log.name}.previous" if log.previous else log.name


def _note(log: ContainerLog) -> str:
    ended = f"exit {log.exit_code}" if log.exit_code else ""
    if ended and ended in log.note.split(", "):
        ended = ""
    return ", ".join(part for part in (log.note, ended) if part)


def _violations(number: int, pods: Sequence[PodViolations]) -> str:
    if not number:
        return "none"
    if not pods:
        return str(number)
    where = [f"{pod.pod}, offset {violation.offset}" for pod in pods for violation in pod.violations]
    return f"{number} ({'; '.join(where[:5])}{', ...' if len(where) > 5 else ''})"  # noqa: PLR2004  (five are enough here)
