"""`plan_sweep`: what must hold whatever the namespaces look like, and what people read of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain import namespaces as ns
from livecalc.domain.claims import Claim, write_claim
from livecalc.domain.namespaces import FINALIZER, NamespaceRecord, Status, is_ours, new_annotations, new_labels
from livecalc.domain.retention import Retention
from livecalc.domain.timestamps import format_timestamp
from livecalc.lifecycle.plan import (
    CLOCK_TOLERANCE,
    Keep,
    Observed,
    Reap,
    Resume,
    Stamp,
    SweepPolicy,
    describe,
    may_be_idle,
    plan_sweep,
)

NOW = datetime(2026, 1, 25, 1, 0, 0, tzinfo=UTC)
HOURS = timedelta(hours=1)


def namespace(
    bucket_id: str = "b",
    *,
    last: datetime | str | None = NOW,
    status: str | None = "active",
    annotations: Mapping[str, str] | None = None,
    **changes: Any,
) -> NamespaceRecord:
    born = new_annotations("acme", Retention.STANDARD, NOW - 100 * HOURS)
    moment = format_timestamp(last) if isinstance(last, datetime) else last
    wanted: dict[str, str | None] = {**born, ns.LAST_ACTIVITY: moment, ns.STATUS: status, **(annotations or {})}
    fields: dict[str, Any] = {
        "name": f"livecalc-bucket-{bucket_id}",
        "uid": f"uid-{bucket_id}",
        "resource_version": "1",
        "labels": new_labels(bucket_id, "acme"),
        "annotations": {key: value for key, value in wanted.items() if value is not None},
        "created_at": NOW - 100 * HOURS,
        **changes,
    }
    return NamespaceRecord(**fields)


def claimed(bucket_id: str = "b", **changes: Any) -> NamespaceRecord:
    claim = Claim(
        holder="worker-7f2c",
        reason="finalized",
        user_id="system:cleanup-worker",
        request_id="r",
        started_at=NOW - timedelta(minutes=6),
        renewed=("", ""),
        archive=f"{bucket_id}/20260125-005400",
        volumes=(),
    )
    return namespace(
        bucket_id, annotations=write_claim(claim, NOW - timedelta(minutes=6)), finalizers=(FINALIZER,), **changes
    )


def decide(record: NamespaceRecord, busy: int | None = 0, **trust: Any) -> object:
    plan = plan_sweep([Observed(record=record, pods=busy, busy=busy)], NOW, SweepPolicy(), **trust)
    return plan.entries[0].decision


@pytest.mark.parametrize(
    ("record", "busy", "decision"),
    [
        (namespace(status="finalized"), 4, Reap("finalized")),
        (namespace(last=NOW - 26 * HOURS), 0, Reap("idle > 24h")),
        (namespace(last=NOW - 26 * HOURS), 3, Keep("3 pods running")),
        (namespace(last=NOW - 26 * HOURS), 1, Keep("1 pod running")),
        (namespace(last=NOW - 26 * HOURS), None, Keep("idle > 24h, but its pods were not seen")),
        (namespace(last=NOW - timedelta(minutes=62)), 0, Keep("idle; reap in 22h58m")),
        (namespace(last=NOW - timedelta(minutes=62)), 2, Keep("2 pods running")),
        (namespace(last=NOW - 24 * HOURS), 0, Keep("idle; reap in 0s")),
        (namespace(last=NOW - 24 * HOURS - timedelta(seconds=1)), 0, Reap("idle > 24h")),
        (namespace(last="yesterday"), 0, Stamp("last-activity unreadable")),
        (namespace(last="2026-01-25T01:00:00+00:00"), 0, Stamp("last-activity unreadable")),
        (namespace(last=None), 0, Stamp("last-activity missing")),
        (namespace(last=NOW + 3 * HOURS), 0, Stamp("last-activity is 3h00m ahead")),
        (namespace(last=NOW + CLOCK_TOLERANCE), 0, Keep("idle; reap in 24h00m")),
        (namespace(status=None, last=NOW - 26 * HOURS), 0, Reap("idle > 24h")),
        (namespace(labels={}), 0, Keep("not ours: its label app is not livecalc", "its label app is not livecalc")),
        (
            namespace(name="livecalc-bucket-c"),
            0,
            Keep(
                "not ours: its name is not that of its bucket-id label", "its name is not that of its bucket-id label"
            ),
        ),
        (namespace(deletion_timestamp=NOW), 0, Keep("deleted by someone else, without an archive")),
    ],
)
def test_decisions_and_their_reasons(record: NamespaceRecord, busy: int | None, decision: object) -> None:
    assert decide(record, busy) == decision


@pytest.mark.parametrize(
    "record",
    [
        claimed(),
        claimed(deletion_timestamp=NOW),
        claimed(last=None),
        namespace(status="active", finalizers=(FINALIZER,)),
        namespace(status="reaping"),
    ],
)
def test_every_claim_is_resumed(record: NamespaceRecord) -> None:
    for busy in (0, 3, None):
        decision = decide(record, busy)
        assert isinstance(decision, Resume)
    assert isinstance(decide(record, skew=timedelta(days=1), complete=False), Resume)


def test_who_claimed_is_said() -> None:
    decision = decide(claimed())
    assert isinstance(decision, Resume)
    assert decision.reason == "started by worker-7f2c 6m ago"
    assert decision.claim.archive == "b/20260125-005400"


@pytest.mark.parametrize("skew", [timedelta(hours=25), timedelta(hours=-25), timedelta(minutes=5, seconds=1)])
def test_with_clocks_apart_nothing_idle_is_reaped_and_nothing_stamped(skew: timedelta) -> None:
    observed = [
        Observed(record=namespace("idle", last=NOW - 99 * HOURS), pods=0, busy=0),
        Observed(record=namespace("ahead", last=NOW + 99 * HOURS), pods=0, busy=0),
        Observed(record=namespace("done", status="finalized"), pods=0, busy=0),
        Observed(record=claimed("claimed"), pods=0, busy=0),
    ]
    plan = plan_sweep(observed, NOW, SweepPolicy(), skew=skew)
    kinds = [type(entry.decision) for entry in plan.entries]
    assert kinds == [Keep, Keep, Reap, Resume]
    [problem] = plan.problems
    way = "ahead of" if skew > timedelta(0) else "behind"
    assert problem.startswith(f"this machine's clock is {describe(abs(skew))} {way} the cluster's")


def test_an_incomplete_list_reaps_nothing_idle() -> None:
    plan = plan_sweep(
        [
            Observed(record=namespace("idle", last=NOW - 99 * HOURS), pods=0, busy=0),
            Observed(record=namespace("unknown", last=None), pods=0, busy=0),
            Observed(record=namespace("done", status="finalized"), pods=0, busy=0),
        ],
        NOW,
        SweepPolicy(),
        complete=False,
    )
    assert [type(entry.decision) for entry in plan.entries] == [Keep, Stamp, Reap]
    assert plan.problems == ("the list of namespaces is incomplete: nothing idle is reaped in this sweep",)


def test_over_the_limit_the_longest_waiting_go_first() -> None:
    observed = [
        Observed(record=namespace("young", last=NOW - 25 * HOURS), pods=0, busy=0),
        Observed(record=namespace("old", last=NOW - 90 * HOURS), pods=0, busy=0),
        Observed(
            record=namespace("done", status="finalized", annotations={ns.FINALIZED_AT: format_timestamp(NOW)}),
            pods=0,
            busy=0,
        ),
        Observed(record=claimed("claimed"), pods=0, busy=0),
        Observed(record=claimed("going", deletion_timestamp=NOW), pods=0, busy=0),
    ]
    plan = plan_sweep(observed, NOW, SweepPolicy(max_reaps=2))
    assert [entry.record.bucket_id for entry in plan.eligible] == ["old", "claimed", "going"]
    assert plan.entries[0].decision == Keep("idle > 24h, but over the limit of 2 reaps a sweep")
    assert plan.entries[2].decision == Keep("finalized, but over the limit of 2 reaps a sweep")


MOMENTS = st.one_of(
    st.none(),
    st.sampled_from(["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-25T01:00:00"]),
    st.timedeltas(timedelta(days=-40), timedelta(days=40)).map(lambda span: NOW + span),
)
STATUSES = st.sampled_from(["active", "finalized", "reaping", "sleeping", None])
BUCKETS = st.sampled_from(["a", "b", "mttc-0123456789abcdef0123", "-", "A"])


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    bucket_id = draw(BUCKETS)
    labels = dict(new_labels(bucket_id, "acme"))
    for key in draw(st.sets(st.sampled_from(sorted(labels)), max_size=1)):
        if draw(st.booleans()):
            del labels[key]
        else:
            labels[key] = "other"
    record = namespace(
        bucket_id,
        last=draw(MOMENTS),
        status=draw(STATUSES),
        labels=labels,
        finalizers=draw(st.sampled_from([(), (FINALIZER,), ("example.com/keep",)])),
        deletion_timestamp=draw(st.sampled_from([None, NOW])),
    )
    busy = draw(st.one_of(st.none(), st.integers(0, 3)))
    return Observed(record=record, pods=busy, busy=busy)


@given(
    st.lists(observations(), max_size=12),
    st.integers(0, 5),
    st.timedeltas(timedelta(minutes=-10), timedelta(minutes=10)),
    st.booleans(),
)
def test_what_holds_of_every_plan(observed: list[Observed], limit: int, skew: timedelta, complete: bool) -> None:  # noqa: FBT001  (drawn)
    policy = SweepPolicy(max_reaps=limit)
    plan = plan_sweep(observed, NOW, policy, skew=skew, complete=complete)
    apart = abs(skew) > CLOCK_TOLERANCE
    assert [entry.observed for entry in plan.entries] == observed
    assert bool(plan.problems) == (apart or not complete)
    assert sum(isinstance(entry.decision, Reap) for entry in plan.entries) <= limit
    for entry in plan.entries:
        record, decision = entry.record, entry.decision
        has_claim = record.status is Status.REAPING or FINALIZER in record.finalizers
        last = record.last_activity
        if isinstance(decision, Reap | Resume | Stamp):
            assert is_ours(record)
        assert isinstance(decision, Resume) == (is_ours(record) and has_claim)
        if isinstance(decision, Stamp):
            assert last is None or last > NOW + CLOCK_TOLERANCE
            assert not apart
            assert not record.terminating
        if isinstance(decision, Reap):
            assert not record.terminating
            if record.status is not Status.FINALIZED:
                assert last is not None
                assert last < NOW - policy.idle_limit
                assert entry.observed.busy == 0
                assert not apart
                assert complete
                assert may_be_idle(record, NOW, policy)


@given(st.lists(observations(), max_size=8))
def test_in_a_trusted_sweep_without_a_limit_nothing_eligible_is_left(observed: list[Observed]) -> None:
    plan = plan_sweep(observed, NOW, SweepPolicy())
    for entry in plan.entries:
        record = entry.record
        if not is_ours(record) or record.terminating:
            continue
        idle = may_be_idle(record, NOW, SweepPolicy()) and entry.observed.busy == 0
        if record.status is Status.FINALIZED or idle:
            assert isinstance(entry.decision, Reap | Resume)
