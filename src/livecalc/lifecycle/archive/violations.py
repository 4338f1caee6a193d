"""What pods' annotations do not say of violated canaries, although the workers stored it: their reporter failed."""

import logging
from collections.abc import Iterable

import anyio.to_thread

from livecalc.cluster.port import MAIN_CONTAINER, PodRecord
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.jobs import EXIT_VIOLATION, JOB_LABEL, JobState
from livecalc.domain.violations import ANNOTATION
from livecalc.lifecycle.archive.absent import is_absent
from livecalc.pipeline.partition import read_record
from livecalc.records.book import JobBook

LOG = logging.getLogger("livecalc.cleanup")
_LONGEST = 256 << 10
"""Characters; the most that annotations hold."""


async def violations_of(book: JobBook, tenant_key: str, pods: Iterable[PodRecord]) -> dict[str, str]:
    """The violations of pods by uid, as an annotation says them: its own, or else its partition's record.

    A record is of the last failed pod of its partition that ended by a violation, or of the last that failed at all.
    Raises Unavailable.
    """
    pods = list(pods)
    found = {pod.uid: text for pod in pods if (text := pod.annotations.get(ANNOTATION))}
    said = {_partition(pod) for pod in pods if pod.uid in found}
    failed = [pod for pod in pods if (pod.phase == "Failed" or is_absent(pod)) and JOB_LABEL in pod.labels]
    silent = [pod for pod in failed if _partition(pod) not in said]
    last = {_partition(pod): pod for pod in sorted(silent, key=_likelihood)}
    for pod in last.values():
        text = await _recorded(book, tenant_key, pod)
        if text:
            LOG.warning("Violations of pod %s are taken from its partition's record: it has no annotation", pod.name)
            found[pod.uid] = text[:_LONGEST]
    return found


def _partition(pod: PodRecord) -> tuple[str, int | None]:
    return pod.labels.get(JOB_LABEL, pod.uid), pod.index


def _likelihood(pod: PodRecord) -> tuple[bool, str]:
    ends = [each.terminated for each in pod.containers if each.name == MAIN_CONTAINER]
    violated = any(end is not None and end.exit_code == EXIT_VIOLATION for end in ends)
    return violated, pod.created_at.isoformat()


async def _recorded(book: JobBook, tenant_key: str, pod: PodRecord) -> str:
    try:
        submitted = await book.submitted(tenant_key, pod.labels[JOB_LABEL])
        plan = next((plan for plan in submitted.partitions if plan.index == pod.index), None)
        if plan is None or submitted.namespace != pod.namespace:
            return ""
        async with book.partition_file(tenant_key, submitted, plan.blob) as path:
            record = await anyio.to_thread.run_sync(read_record, path)
    except NotFound:
        return ""
    except Damaged as error:
        LOG.warning("Whether pod %s violated a canary cannot be read: %s", pod.name, error.detail)
        return ""
    return record.violations if record.state is JobState.FAILED and record.job_id == submitted.job_id else ""
