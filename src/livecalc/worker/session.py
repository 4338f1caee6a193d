"""One worker's work from its task to its statement, step by step; and which exit status each end has."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.domain.errors import Damaged, InvalidInput, LivecalcError, TooLarge
from livecalc.domain.jobs import EXIT_BUNDLE, EXIT_MODEL, EXIT_OK, EXIT_VIOLATION, FINAL_EXITS, PROGRESS
from livecalc.domain.modelconfig import Config
from livecalc.domain.tasks import PartitionTask, Statement, Task
from livecalc.domain.timestamps import format_timestamp
from livecalc.domain.violations import ANNOTATION, format_violations
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.messages import Order
from livecalc.pipeline.outcome import Outcome, make_record
from livecalc.pipeline.partition import write_partition
from livecalc.pipeline.process import EngineProcess
from livecalc.pipeline.run import run_order
from livecalc.worker.log import LogCopy
from livecalc.worker.reporter import Reporter
from livecalc.worker.statement import write_statement
from livecalc.worker.storage import GrantClients, StoredBlob, fetch_task, find_partition, store_log, store_result

EXIT_AGAIN = 1
EXIT_SIGTERM = 143
_SHOWN_VIOLATIONS = 100
_SHOWN_HASH = 12
_EXITS = {"succeeded": EXIT_OK, "failed": EXIT_MODEL, "interrupted": EXIT_SIGTERM, "lost": EXIT_AGAIN}


class Pod(Struct, frozen=True, kw_only=True):
    """What a worker is told by the pod it runs in."""

    index: int
    attempt: int
    folder: Path
    """An empty folder of its own."""
    termination_file: Path
    image: str


class End(Struct, frozen=True, kw_only=True):
    """How the work ended."""

    exit: int
    error: str | None = None
    result: StoredBlob = StoredBlob()

    @property
    def state(self) -> str:
        """As the statement says it."""
        if self.exit == EXIT_OK:
            return "succeeded"
        return "failed" if self.exit in FINAL_EXITS else "interrupted"


class Session:
    """The work of one pod, done once."""

    def __init__(
        self, pod: Pod, grants: GrantClients, *, engine: EngineProcess, interrupt: Interrupt, reporter: Reporter
    ) -> None:
        self._pod = pod
        self._grants = grants
        self._engine = engine
        self._interrupt = interrupt
        self._reporter = reporter
        self._started = time.monotonic()

    def run(self, task_url: str) -> int:
        """Do the work, write the statement, and return the pod's exit status."""
        try:
            task = fetch_task(self._grants, task_url, self._pod.folder / "task.json")
            partition = find_partition(task, self._pod.index)
        except LivecalcError as error:
            return self._give_up(error.detail)
        try:
            return self._run(task, partition)
        except OSError as error:
            return self._give_up(f"the worker could not go on: {error}")

    def _run(self, task: Task, partition: PartitionTask) -> int:
        log = LogCopy(self._pod.folder / "log", limit=task.limits["log_bytes"])
        log.say(
            f"job {task.job_id}, partition {partition.index}, scenarios {partition.first}-{partition.stop - 1}, "
            f"try {self._pod.attempt + 1}"
        )
        end = self._work(task, partition, log)
        for failure in self._reporter.close():
            log.say(failure)
        seconds = time.monotonic() - self._started
        reason = "" if end.error is None else f": {end.error}"
        log.say(f"{end.state} (exit {end.exit}) after {seconds:.2f} s{reason}")
        log.close()
        self._state(end, log, self._store_log(partition, log))
        return end.exit

    def _work(self, task: Task, partition: PartitionTask, log: LogCopy) -> End:
        folder = self._pod.folder / "bundle"
        try:
            config = self._open_bundle(task, folder)
        except (TooLarge, InvalidInput, Damaged) as error:
            return self._store(_unopened(error.detail), _order(partition, None, folder, self._pod, task), task, partition)
        except LivecalcError as error:
            return End(exit=EXIT_AGAIN, error=error.detail)
        log.say(f"bundle {task.model_bundle_hash[:_SHOWN_HASH]} verified: {config.name} {config.version}")
        ...
