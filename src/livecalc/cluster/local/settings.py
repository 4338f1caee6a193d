"""How a node behaves. Whoever starts the node decides; all clients of one home should say the same."""

import json
import os
from typing import NamedTuple


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class NodeSettings(NamedTuple):
    """Settings of the node process; a tuple, because importing dataclasses would double its start."""

    slots: int = 0
    """Pods at once; 0 stands for one per core."""
    grace_seconds: float = 5.0
    """From SIGTERM to SIGKILL."""
    linger_seconds: float = 2.0
    """How long an idle node waits for work before it leaves."""
    log_bytes: int = 10 << 20
    """A log file is rotated when it has this size; a kubelet's default."""
    log_files: int = 5
    """Log files kept of a pod, the newest included; a kubelet's default."""
    backoff_seconds: float = 0.2
    """Before the first retry of an index; doubled each time, at most 5 s."""

    def filled(self) -> "NodeSettings":
        """The same with the number of slots of this machine where none is given."""
        return self if self.slots > 0 else self._replace(slots=available_cores())

    def encode(self) -> str:
        """One line for the node's command line."""
        return json.dumps(self._asdict())

    @classmethod
    def decode(cls, text: str) -> "NodeSettings":
        """Read what `encode` wrote."""
        return cls(**json.loads(text))
