"""What must hold in a home when all racers rest: nothing due is left, and what is remembered fits what was done."""

import math
from collections import Counter
from collections.abc import AsyncGenerator

import msgspec
from attack.interleavings_verdict import Life, Verdict, ends
from attack.interleavings_world import TENANTS, WITNESS, World, principal

from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import JobState
from livecalc.domain.namespaces import Status
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.archive.manifest import Manifest
from livecalc.records.book import JobBook
from livecalc.records.model import FinishedRecord

SETTLED = "went before it had ended"
"""How a reaper records a job that stored no result, as no job does here."""


async def flaws_at_rest(world: World, verdict: Verdict) -> AsyncGenerator[str]:
    """Say everything that is not as it should be."""
    for check in (_left_over, _jobs, _withdrawn, _archives, _audits):
        async for flaw in check(world, verdict):
            yield flaw


async def _left_over(world: World, _: Verdict) -> AsyncGenerator[str]:
    plan = await world.platform.reaper.plan()
    for entry in plan.eligible:
        yield f"{entry.record.name} is left over: {entry.decision.reason}"
    for entry in plan.entries:
        if entry.record.status is not Status.ACTIVE or entry.record.terminating:
            yield f"{entry.record.name} is left over: {entry.record.status}"


async def _jobs(world: World, verdict: Verdict) -> AsyncGenerator[str]:
    """Every job whose submit was answered with success ended by itself, was cancelled, or lives with its namespace."""
    book, ended = JobBook(world.platform.blobs), ends(world.home / WITNESS)
    for life in verdict.lives.values():
        for job in life.jobs & verdict.confirmed.keys():
            key = principal(verdict.confirmed[job]).tenant_key
            try:
                end = await book.finished(key, await book.submitted(key, job))
            except NotFound:
                yield f"job {job} of {life.name} is not remembered"
                continue
            flaw = _wrong_end(life, end, by_itself=job in ended)
            if flaw is not None:
                yield f"job {job} of {life.name} {flaw}"


def _wrong_end(life: Life, end: FinishedRecord | None, *, by_itself: bool) -> str | None:
    if end is None:
        return "is not recorded as ended" if life.deletions else None
    if end.state is not JobState.CANCELLED and not by_itself:
        return f"was lost: {end.state} ({end.error})"
    recorded = parse_timestamp(end.finished_at)
    claimed_at = math.floor(life.claim["at"]) if life.claim else math.inf
    if SETTLED in (end.error or "") and (recorded is None or recorded.timestamp() < claimed_at):
        return "was recorded as ended by its namespace's end before that had begun"
    return None


async def _withdrawn(world: World, verdict: Verdict) -> AsyncGenerator[str]:
    """Of a job whose submit was refused nothing is remembered."""
    book = JobBook(world.platform.blobs)
    for job in verdict.tried - verdict.confirmed.keys():
        for bucket in range(TENANTS):
            try:
                await book.submitted(principal(bucket).tenant_key, job)
            except NotFound:
                continue
            yield f"job {job} was refused, and is remembered"


async def _archives(world: World, verdict: Verdict) -> AsyncGenerator[str]:
    """Each reaped namespace has one archive that counts; others of it came too early for a pod and were superseded."""
    counting: Counter[str] = Counter()
    for bucket in range(TENANTS):
        owner, diagnostics = principal(bucket), world.platform.diagnostics
        archives = await diagnostics.list_archives(owner)
        raw = [await diagnostics.manifest(owner, each.bucket_id, each.timestamp) for each in archives]
        manifests = [msgspec.json.decode(each, type=Manifest) for each in raw]
        superseded = {each.supersedes for each in manifests}
        counting.update(
            each.namespace_uid for each in manifests if f"{each.bucket_id}/{each.timestamp}" not in superseded
        )
    if counting != Counter(life.uid for life in verdict.reaped):
        yield f"{counting.total()} archives of {len(counting)} namespaces, but {len(verdict.reaped)} were reaped"


async def _audits(world: World, verdict: Verdict) -> AsyncGenerator[str]:
    """Each reaping is audited once before it and once after it, in chains that hold."""
    audited: Counter[tuple[str, str, str | None]] = Counter()
    for bucket in range(TENANTS):
        tenant = principal(bucket).tenant_id
        chain = await world.platform.audit.verify(tenant)
        if not chain.holds:
            yield f"the audit log of {tenant} does not hold: {chain.reason}"
        records = await world.platform.audit.read(tenant, limit=chain.records)
        audited.update((each.request_id, each.phase, each.result) for each in records if each.operation == "reap")
    wanted: Counter[tuple[str, str, str | None]] = Counter()
    for life in verdict.reaped:
        wanted.update([(f"reap-{life.uid}", "intent", None), (f"reap-{life.uid}", "outcome", "ok")])
    for request, phase, result in (audited - wanted) + (wanted - audited):
        yield f"the {phase} of {request} ({result}) is not audited once"
