"""Finalized namespaces for benches: pods that print, run to their end by the embedded cluster."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from livecalc.cluster.port import JobSpec, PodTemplate
from livecalc.domain.namespaces import new_annotations, new_labels
from livecalc.domain.retention import Retention
from livecalc.services import Platform


async def make_finalized(platform: Platform, buckets: Sequence[str], *, pods: int, script: str) -> None:
    """Make a namespace for each bucket id, with `pods` pods that run a shell script to its end."""
    template = PodTemplate(image="local", command=("sh", "-c", script))
    for bucket in buckets:
        annotations = {**new_annotations("acme", Retention.STANDARD, datetime.now(UTC)), "status": "finalized"}
        namespace = f"livecalc-bucket-{bucket}"
        await platform.cluster.create_namespace(namespace, labels=new_labels(bucket, "acme"), annotations=annotations)
        spec = JobSpec(name="work", partitions=pods, template=template, deadline_seconds=3000)
        await platform.cluster.create_job(namespace, spec)
    for bucket in buckets:
        await _until_done(platform, f"livecalc-bucket-{bucket}")


async def _until_done(platform: Platform, namespace: str) -> None:
    while any(job.state != "succeeded" for job in await platform.cluster.list_jobs(namespace)):  # noqa: ASYNC110  (polled, as by every client)
        await asyncio.sleep(0.05)
