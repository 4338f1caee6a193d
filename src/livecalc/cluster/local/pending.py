"""Whether there is anything for a node to do. A client asks it after each call, the node before it leaves."""

from livecalc.cluster.local.store import Connection

RETRY_SECONDS = 15.0
"""How long something that could not be removed or made is left alone, unless somebody asks for it again."""
LONGEST_WAIT = 60.0
"""No pod waits longer for its next attempt; one that seems to is the work of a clock that was set back."""


def is_pending(db: Connection, now: float) -> bool:
    """Tell whether a node must run."""
    retry = now - RETRY_SECONDS
    return bool(
        db.execute(
            "SELECT EXISTS (SELECT 1 FROM pods WHERE phase IN ('Pending', 'Running'))"
            " OR EXISTS (SELECT 1 FROM pods WHERE deleted IS NOT NULL AND not_before <= :now)"
            " OR EXISTS (SELECT 1 FROM namespaces WHERE deleted IS NOT NULL AND NOT content_gone"
            "            AND (blockers = '[]' OR tried < :retry))"
            " OR EXISTS (SELECT 1 FROM claims WHERE phase = 'Pending' AND tried < :retry)"
            " OR EXISTS (SELECT 1 FROM volumes WHERE policy = 'Delete' AND phase IN ('Released', 'Failed')"
            "            AND tried < :retry)",
            {"now": now, "retry": retry},
        ).fetchone()[0],
    )
