"""Archives as text, against literal expectations."""

import msgspec

from livecalc.cli.views.archives import draw_archive, list_archives, list_logs, show_archive, verdict
from livecalc.lifecycle.archive.manifest import (
    BlobEntry,
    ContainerLog,
    JobEntry,
    Manifest,
    PodLogs,
    PodViolation,
    PodViolations,
)
from livecalc.wire.diagnostics import Archive, ArchiveVerification

DIGEST = "3fa0b1c2d944" + "0" * 52
MANIFEST = Manifest(
    state="PartiallyComplete",
    bucket_id="q3-2025",
    timestamp="20260126-010504",
    namespace="livecalc-bucket-q3-2025",
    namespace_uid="u-1",
    tenant_id="acme",
    reason="finalized",
    reaped_by="system:cleanup-worker",
    holder="worker-7f2c",
    request_id="r-1",
    namespace_created_at="2026-01-25T00:00:00Z",
    claimed_at="2026-01-26T01:04:33Z",
    archived_at="2026-01-26T01:05:11Z",
    retention="standard",
    retain_until="2026-02-25T01:05:11Z",
    pods=[
        PodLogs(
            name="worker-1",
            uid="p-1",
            phase="Failed",
            containers=[
                ContainerLog(
                    name="main", kind="main", state="complete", blob="logs/worker-1.log", bytes=831_488, sha256=DIGEST
                ),
                ContainerLog(
                    name="main", kind="main", previous=True, state="truncated", blob="logs/worker-1.main.previous.log",
                    bytes=103_424, sha256=DIGEST, note="rotated", exit_code=137,
                ),
            ],
        ),
        PodLogs(
            name="worker-3",
            uid="p-3",
            phase="Unknown",
            containers=[ContainerLog(name="main", kind="main", state="lost", note="node gone: node-b2")],
        ),
    ],
    blobs=[
        BlobEntry(name="logs/worker-1.log", bytes=831_488, sha256=DIGEST),
        BlobEntry(name="logs/worker-1.main.previous.log", bytes=103_424, sha256=DIGEST),
        BlobEntry(name="pods.json", bytes=2, sha256=DIGEST),
    ],
    violations=1,
    jobs=[JobEntry(job_id="j-01jdx4m8k3q7", state="failed")],
    audit_head=None,
    versions={},
    notes=["events could not be listed"],
)  # fmt: skip
VIOLATIONS = [
    PodViolations(
        pod="worker-1",
        violations=[PodViolation(offset=1234, expected="0xABCD", actual="0x1234")],
        timestamp="2026-01-26T01:05:11Z",
    )
]


def test_an_archive_is_told_to_someone_who_was_not_there() -> None:
    shown = show_archive(
        MANIFEST, digest=DIGEST, checked=", verified ✔", deleted="namespace gone", violations=VIOLATIONS
    )
    assert shown.splitlines() == [
        "Archive   q3-2025/20260126-010504   PartiallyComplete",
        "Reaped    2026-01-26 01:05:11Z by system:cleanup-worker (finalized), 38s",
        "Expires   2026-02-25 (standard, 30 days)",
        "Manifest  3fa0b1c2d944, 3 blobs, 913 KiB, verified ✔",
        "Deleted   namespace gone",
        "Jobs      j-01jdx4m8k3q7 failed -",
        "Missing   events could not be listed",
        "",
        "POD       CONTAINER      STATE         SIZE  SHA256        NOTE",
        "worker-1  main           complete   812 KiB  3fa0b1c2d944",
        "worker-1  main.previous  truncated  101 KiB  3fa0b1c2d944  rotated, exit 137",
        "worker-3  main           lost             -  -             node gone: node-b2",
        "Sentinel violations: 1 (worker-1, offset 1234)",
    ]


def test_an_exit_is_told_once() -> None:
    log = ContainerLog(name="main", kind="main", state="complete", note="Error, exit 143", exit_code=143)
    manifest = msgspec.structs.replace(MANIFEST, pods=[PodLogs(name="w", uid="p", phase="Failed", containers=[log])])
    assert list_logs(manifest).splitlines()[1].endswith("  Error, exit 143")
    assert list_logs(manifest).count("143") == 1


def test_an_archive_is_drawn_with_its_manifest_last() -> None:
    assert draw_archive(MANIFEST).splitlines() == [
        "├── logs/",
        "│   ├── worker-1.log                  812 KiB  3fa0b1c2d944  complete",
        "│   └── worker-1.main.previous.log    101 KiB  3fa0b1c2d944  truncated",
        "├── pods.json                             2 B  3fa0b1c2d944",
        "└── manifest.json",
    ]


def test_archives_are_listed() -> None:
    archive = Archive(
        bucket_id="q3-2025",
        timestamp="20260126-010504",
        state="Complete",
        blobs=8,
        bytes=3_600_000,
        violations=0,
        reaped_at="2026-01-26T01:05:11Z",
        reaped_by="ana",
        retain_until="2026-02-25T01:05:11Z",
    )
    assert list_archives([archive]).splitlines() == [
        "ARCHIVE                  STATE     BLOBS     SIZE  VIOLATIONS  REAPED                BY   EXPIRES",
        "q3-2025/20260126-010504  Complete      8  3.4 MiB           0  2026-01-26 01:05:11Z  ana  2026-02-25",
    ]


def test_a_verification_is_one_line() -> None:
    found = ArchiveVerification(archive="q3/1", holds=True, blobs=8, bytes=3_600_000, differences=[])
    assert verdict(found) == "q3/1: 8 blobs, 3.4 MiB, as the manifest and the audit record say"
    broken = ArchiveVerification(archive="q3/1", holds=False, blobs=8, bytes=3_600_000, differences=["a", "b"])
    assert verdict(broken) == "q3/1: 2 differences in 8 blobs, 3.4 MiB"
