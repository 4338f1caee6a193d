"""How reapers behave: what is eligible, how patient they are, and what happens when archiving fails."""

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from livecalc.domain.namespaces import NamespaceRecord
from livecalc.domain.retention import Retention
from livecalc.lifecycle.plan import SweepPolicy


class ReaperPolicy(Struct, frozen=True, kw_only=True):
    """Everything that a reaper goes by. Times are in seconds."""

    idle_limit: timedelta = timedelta(hours=24)
    max_reaps: int = 500
    concurrency: int = 8
    """How many namespaces are reaped at once."""
    archive_policy: Literal["best-effort", "required"] = "best-effort"
    diagnostics: str = "diagnostics"
    """The containers' prefix."""
    wait: float = 60.0
    """How long a deleted namespace may take to be gone, and its volumes after it."""
    claim_timeout: float = 60.0
    """How long a claim stays unchanged before another reaper takes it over."""
    renew_every: float = 20.0
    deadline: float = 1800.0
    """The most time that one namespace gets in one sweep."""
    logs_at_once: int = 4
    """How many logs of one namespace are archived at once."""

    @property
    def sweep(self) -> SweepPolicy:
        """What planning needs of it."""
        return SweepPolicy(idle_limit=self.idle_limit, max_reaps=self.max_reaps)

    @property
    def renewal(self) -> float:
        """How often a claim is renewed: a claim must survive two lost renewals."""
        return min(self.renew_every, self.claim_timeout / 3)

    def requires_archive(self, record: NamespaceRecord) -> bool:
        """Whether a namespace is kept when it cannot be archived; always so under regulatory retention."""
        return self.archive_policy == "required" or record.retention is Retention.REGULATORY
