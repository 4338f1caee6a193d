"""Look at all namespaces that may be ours, and at the pods of those that pods can keep; decides nothing."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from livecalc.cluster.port import Cluster
from livecalc.domain.errors import LivecalcError
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.namespaces import LABELS, NamespaceRecord
from livecalc.lifecycle.plan import Observed, SweepPolicy, may_be_idle

_AT_ONCE = 16


class Observation(Struct, frozen=True, kw_only=True):
    """All that a plan is made from."""

    namespaces: tuple[Observed, ...]
    now: datetime
    """The cluster's time when the list was begun."""
    skew: timedelta
    """How far the own clock was ahead of it."""
    complete: bool
    problems: tuple[str, ...] = ()
    """Namespaces whose pods could not be listed; they are kept."""


async def observe(
    cluster: Cluster, policy: SweepPolicy, own_clock: Callable[[], datetime], *, every_pod: bool = False
) -> Observation:
    """List the namespaces, and the pods of idle ones, the longest idle first, until enough are found to reap.

    `every_pod` counts the pods of all of them, for people to read. Raises Unavailable.
    """
    now = await cluster.now()
    skew = own_clock() - now
    listed = await cluster.list_namespaces(LABELS)
    wanted = listed.items if every_pod else _longest_idle_first(listed.items, now, policy)
    limit = len(wanted) if every_pod else policy.max_reaps
    seen, problems = await _look(cluster, wanted, limit)
    return Observation(
        namespaces=tuple(seen.get(record.uid) or Observed(record=record) for record in listed.items),
        now=now,
        skew=skew,
        complete=listed.complete,
        problems=tuple(problems),
    )


async def observe_one(cluster: Cluster, record: NamespaceRecord) -> Observed:
    """Look at the pods of one namespace. Raises Unavailable."""
    pods = await cluster.list_pods(record.name)
    busy = sum(pod.alive and JOB_LABEL in pod.labels for pod in pods)
    return Observed(record=record, pods=len(pods), busy=busy)


def _longest_idle_first(
    records: Sequence[NamespaceRecord], now: datetime, policy: SweepPolicy
) -> Sequence[NamespaceRecord]:
    idle = [record for record in records if may_be_idle(record, now, policy)]
    return sorted(idle, key=lambda record: record.last_activity or now)


async def _look(
    cluster: Cluster, records: Sequence[NamespaceRecord], limit: int
) -> tuple[dict[str, Observed], list[str]]:
    seen: dict[str, Observed] = {}
    problems: list[str] = []

    async def look(record: NamespaceRecord) -> None:
        try:
            seen[record.uid] = await observe_one(cluster, record)
        except LivecalcError as error:
            problems.append(f"pods of {record.name} could not be listed, so it is kept: {error.detail}")

    for start in range(0, len(records), _AT_ONCE):
        if sum(not each.busy for each in seen.values()) >= limit:
            break
        async with asyncio.TaskGroup() as group:
            for record in records[start : start + _AT_ONCE]:
                group.create_task(look(record))
    return seen, problems
