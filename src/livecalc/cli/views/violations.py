"""The index of sentinel violations as text."""

from collections.abc import Sequence

from livecalc.cli.format import NONE, count, moment
from livecalc.cli.tables import table
from livecalc.wire.diagnostics import Reindexed, SentinelViolation


def list_violations(violations: Sequence[SentinelViolation]) -> str:
    """One line for each violation, in the order given."""
    rows = [
        [
            moment(each.timestamp),
            each.archive,
            each.pod,
            NONE if each.offset is None else str(each.offset),
            each.expected or NONE,
            each.actual or NONE,
            "" if each.malformed is None else f"malformed: {each.malformed}",
        ]
        for each in violations
    ]
    return table(["TIME", "ARCHIVE", "POD", "OFFSET", "EXPECTED", "ACTUAL", "NOTE"], rows, right=["OFFSET"])


def tell_reindexed(found: Reindexed) -> str:
    """What came of a comparison, in one line."""
    having = f"{found.with_violations} of them with {count(found.violations, 'violation')}"
    what = f"{count(found.archives, 'archive')}, {having if found.with_violations else 'none with violations'}"
    counts = f"{found.right} right, {found.missing} missing, {found.wrong} wrong, {found.extra} extra"
    if not found.equal:
        return f"{what}: the index is not equal to them; entries: {counts}"
    mended = found.missing or found.wrong or found.extra
    return (
        f"{what}: the index is equal to them{' now' if mended else ''}; entries{' before' if mended else ''}: {counts}"
    )
