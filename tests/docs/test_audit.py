"""The checks on the page for auditors: they work as shown, and find a forgery that fits its manifest."""

import hashlib
import json
from pathlib import Path

from docs.pages import DOCS, fences
from docs.transcript import Copies, Session, Shown, check, read_console, reader_environment

PAGE = DOCS / "auditors.md"
A_REAPED_BUCKET = (
    "livecalc submit term-life --bucket q4-2025 --partitions 1 --wait",
    "livecalc namespaces finalize q4-2025",
    "livecalc cleanup",
)


def checks() -> list[Shown]:
    (block,) = [fence.body for fence in fences(PAGE) if fence.language == "console"]
    return read_console(block)


def rewrite(blob: Path, raw: bytes) -> str:
    """Put other bytes into the store as its owner can, with their record; returns their SHA-256."""
    container = next(parent for parent in blob.parents if parent.name == "diagnostics-local")
    record = container.parent / ".meta" / f"{blob.relative_to(container.parent)}%.json"
    told = json.loads(record.read_bytes())
    told |= {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    for path, content in ((blob, raw), (record, json.dumps(told).encode())):
        path.chmod(0o600)
        path.write_bytes(content)
    return told["sha256"]


def forge(archive: Path) -> None:
    """Change a log of an archive, and all in the store that speaks of it but for the audit record."""
    (log,) = (archive / "logs").iterdir()
    old = hashlib.sha256(log.read_bytes()).hexdigest()
    new = rewrite(log, log.read_bytes().replace(b"succeeded", b"SUCCEEDED"))
    manifest = archive / "manifest.json"
    assert old in manifest.read_text("utf-8")
    rewrite(manifest, manifest.read_bytes().replace(old.encode(), new.encode()))


def test_the_checks_find_what_the_archive_alone_cannot(tmp_path: Path) -> None:
    copies = Copies()
    with Session(tmp_path, reader_environment(tmp_path)) as session:
        for command in A_REAPED_BUCKET:
            check(session, copies, Shown(command, ()))
        for shown in checks():
            check(session, copies, shown)
        (archive,) = (tmp_path / ".livecalc/blobs/diagnostics-local/q4-2025").iterdir()
        forge(archive)
        verify, verify_all, walk, _ = checks()
        for shown in (verify, verify_all):
            status, printed = session.run(shown.command)
            assert status == 3, printed
            [found] = [line for line in printed if line.startswith("  ")]
            assert found.startswith("  manifest.json has digest ")
            assert ", which audit record " in found
        check(session, copies, Shown(walk.command, ()))
