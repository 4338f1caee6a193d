"""The work itself: open the bundle, compute the partition, store what came of it."""

import errno
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from livecalc.bundles.limits import Limits
from livecalc.bundles.open import open_bundle
from livecalc.domain.errors import Damaged, Forbidden, InvalidInput, LivecalcError, TooLarge
from livecalc.domain.jobs import EXIT_BUNDLE, EXIT_MODEL, EXIT_OK, EXIT_VIOLATION, PROGRESS
from livecalc.domain.modelconfig import DEFAULT_BLOCK, Config
from livecalc.domain.partitions import PartitionRecord
from livecalc.domain.tasks import PartitionTask, Task
from livecalc.domain.timestamps import format_timestamp
from livecalc.domain.violations import ANNOTATION, format_violations
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.messages import Order
from livecalc.pipeline.outcome import Outcome, make_record
from livecalc.pipeline.partition import write_partition
from livecalc.pipeline.process import EngineProcess
from livecalc.pipeline.run import run_order
from livecalc.worker.log import LogCopy
from livecalc.worker.pod import EXIT_AGAIN, EXIT_SIGTERM, End, Pod
from livecalc.worker.reporter import Reporter
from livecalc.worker.storage import GrantClients, StoredBlob, store_result

_SHOWN_VIOLATIONS = 100
_SHOWN_HASH = 12
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Work(Struct, frozen=True, kw_only=True):
    """A partition to compute, and what it takes."""

    pod: Pod
    task: Task
    partition: PartitionTask
    grants: GrantClients
    engine: EngineProcess
    interrupt: Interrupt
    reporter: Reporter
    log: LogCopy


def do_work(work: Work) -> End:
    """Compute and store one partition. Raises OSError when the pod's disk is full; the rest is in the answer."""
    try:
        config = _open_bundle(work)
    except (TooLarge, InvalidInput, Damaged) as error:
        now = format_timestamp(datetime.now(UTC))
        outcome = Outcome(state="failed", error=error.detail, started_at=now, finished_at=now)
        return End(exit=EXIT_BUNDLE, error=error.detail, result=_store_failure(work, outcome, DEFAULT_BLOCK))
    except LivecalcError as error:
        return End(exit=EXIT_AGAIN, error=error.detail)
    hash_digits = work.task.model_bundle_hash[:_SHOWN_HASH]
    work.log.say(f"bundle {hash_digits} verified: {config.name}, version {config.version}")
    return _conclude(work, _compute(work, config), config.scenarios.block)


def _open_bundle(work: Work) -> Config:
    limits = Limits(
        bytes=work.task.limits["bundle_bytes"],
        files=work.task.limits["bundle_files"],
        ratio=work.task.limits["bundle_ratio"],
    )
    path = work.pod.folder / "bundle.zip"
    try:
        client = work.grants(work.task.bundle)
    except InvalidInput as error:
        raise Forbidden(error.detail) from error  # the URL is at fault, not the bundle
    client.fetch(work.task.bundle, path, limit=limits.bytes)
    config = open_bundle(path, _bundle_folder(work), limits, expected=work.task.model_bundle_hash)
    path.unlink()
    return config


def _bundle_folder(work: Work) -> Path:
    return work.pod.folder / "bundle"


def _compute(work: Work, config: Config) -> Outcome:
    first, stop = work.partition.first, work.partition.stop
    order = Order(
        folder=str(_bundle_folder(work)),
        config=config,
        first=first,
        stop=stop,
        scratch=str(work.pod.folder / "engine"),
        memory=work.task.limits.get("memory_bytes"),
        image=work.pod.image,
    )

    def report(done: int) -> None:
        work.reporter.post({PROGRESS: f"{done}/{stop - first}"})

    report(0)
    return run_order(work.engine, order, on_progress=report, on_output=work.log.pass_on, interrupt=work.interrupt)


def _conclude(work: Work, outcome: Outcome, block: int) -> End:
    """Store what has come of the model, and choose the exit status."""
    if outcome.state == "interrupted":
        return End(exit=EXIT_SIGTERM, error=outcome.error)
    if outcome.state == "lost":
        return End(exit=EXIT_AGAIN, error=outcome.error)
    if outcome.state == "succeeded":
        return _conclude_success(work, outcome, block)
    if outcome.violations:
        work.reporter.post({ANNOTATION: format_violations(outcome.violations[:_SHOWN_VIOLATIONS])})
    status = EXIT_VIOLATION if outcome.violations else EXIT_MODEL
    return End(exit=status, error=outcome.error, result=_store_failure(work, outcome, block))


def _conclude_success(work: Work, outcome: Outcome, block: int) -> End:
    try:
        return End(exit=EXIT_OK, result=_store(work, outcome, block))
    except TooLarge as error:
        failed = msgspec.structs.replace(outcome, state="failed", error=error.detail, outputs={}, arrays={})
        return End(exit=EXIT_MODEL, error=failed.error, result=_store_failure(work, failed, block))
    except LivecalcError as error:
        return End(exit=EXIT_AGAIN, error=f"the result could not be stored: {error.detail}")


def _store_failure(work: Work, outcome: Outcome, block: int) -> StoredBlob:
    """Store the record of a final failure; when that fails too, exit status and statement must tell it alone."""
    try:
        return _store(work, outcome, block)
    except LivecalcError as error:
        work.log.say(f"the record of the failure could not be stored: {error.detail}")
        return StoredBlob()


def _store(work: Work, outcome: Outcome, block: int) -> StoredBlob:
    record = make_record(
        outcome,
        job_id=work.task.job_id,
        index=work.partition.index,
        attempt=work.pod.attempt,
        first=work.partition.first,
        stop=work.partition.stop,
        block=block,
    )
    path = work.pod.folder / "partition.zip"
    _write(work, path, record, outcome.arrays)
    stored = store_result(work.grants, work.partition.result, path)
    if stored.sha256 is None:
        work.log.say("an earlier try has stored its result already: it stays")
    return stored


def _write(work: Work, path: Path, record: PartitionRecord, arrays: Mapping[str, Path]) -> None:
    """Write the partition's file; on a full disk the log gives way to it, down to nothing. Raises OSError."""
    while True:
        try:
            write_partition(path, record, arrays)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in _FULL or not work.log.give_way(f"{error.strerror}, and the result needed the room"):
                raise
        else:
            return
