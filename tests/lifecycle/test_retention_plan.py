"""What may be deleted, over all that can be seen: nothing before its date, nothing that something kept needs."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.lifecycle.archive.places import Place
from livecalc.lifecycle.retention.decision import Delete, Keep
from livecalc.lifecycle.retention.marks import Mark, Target
from livecalc.lifecycle.retention.plan import RetentionPlan, plan_retention
from livecalc.lifecycle.retention.seen import ArchiveSeen, BundleSeen, JobSeen, Stored, TenantSeen
from livecalc.wire.retention import Hold

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BUCKETS = ("a", "b")
JOBS = tuple(f"j-00000000000{number}" for number in range(4))
BUNDLES = tuple(f"{number}" * 64 for number in range(3))

dates = st.sampled_from([NOW + timedelta(days=days) for days in (-400, -1, 0, 1, 3000)])
stored = st.builds(
    Stored,
    blobs=st.integers(1, 3),
    bytes=st.integers(0, 99),
    legal_hold=st.sampled_from([False, False, False, True]),
    locked_until=st.none() | dates,
)
unknown = st.sampled_from(["", "", "", "it cannot be read"])


def place(path: str) -> Place:
    return Place(container="diagnostics-t", folder=f"{path}/")


archives = st.builds(
    ArchiveSeen,
    place=st.sampled_from([place(f"{bucket}/2026010{day}-000000") for bucket in BUCKETS for day in (1, 2, 3)]),
    stored=stored,
    kept_until=dates,
    has_manifest=st.booleans(),
    jobs=st.none() | st.frozensets(st.sampled_from(JOBS), max_size=2),
    bundles=st.frozensets(st.sampled_from(BUNDLES), max_size=1),
    unknown=unknown,
)
jobs = st.builds(
    JobSeen,
    job_id=st.sampled_from(JOBS),
    bucket_id=st.sampled_from([*BUCKETS, ""]),
    stored=stored,
    kept_until=dates,
    model_bundle_hash=st.none() | st.sampled_from(BUNDLES),
    unknown=unknown,
)
bundles = st.builds(BundleSeen, model_bundle_hash=st.sampled_from(BUNDLES), stored=stored, kept_until=dates)
holds = st.builds(
    Hold,
    bucket_id=st.sampled_from(BUCKETS),
    timestamp=st.none() | st.sampled_from(["20260101-000000", "20260102-000000"]),
    reason=st.just("why"),
    held_by=st.just("ana"),
    held_at=st.just("2026-01-01T00:00:00Z"),
)


@st.composite
def tenant(draw: st.DrawFn, key: str = "t") -> TenantSeen:
    def unique(kind: st.SearchStrategy[ArchiveSeen | JobSeen | BundleSeen]) -> tuple[object, ...]:
        return tuple(draw(st.lists(kind, max_size=6, unique_by=lambda each: each.key)))

    return TenantSeen(
        key=key,
        tenant_id=draw(st.sampled_from([key, key, None])),
        buckets=draw(st.frozensets(st.sampled_from(BUCKETS), max_size=1)),
        claimed=draw(st.frozensets(st.just("a/20260103-000000"), max_size=1)),
        holds=tuple(draw(st.lists(holds, max_size=1))),
        archives=unique(archives),  # type: ignore[arg-type]  (of its own kind)
        jobs=unique(jobs),  # type: ignore[arg-type]  (of its own kind)
        bundles=unique(bundles),  # type: ignore[arg-type]  (of its own kind)
    )


def gone(plan: RetentionPlan) -> set[str]:
    return {entry.seen.key for entry in plan.entries if isinstance(entry.decision, Delete)}


@given(tenant(), st.integers(0, 4))
def test_nothing_goes_that_must_stay(seen: TenantSeen, limit: int) -> None:
    plan = plan_retention([seen], NOW, max_deletions=limit)
    assert [entry.seen for entry in plan.entries] == [*seen.archives, *seen.jobs, *seen.bundles]
    deleted = gone(plan)
    for entry in plan.due:
        own = entry.seen
        assert own.kept_until < NOW
        assert not own.stored.legal_hold
        assert own.stored.locked_until is None or own.stored.locked_until < NOW
        assert isinstance(own, BundleSeen) or not own.unknown
        assert seen.tenant_id is not None
        assert isinstance(entry.decision, Delete)
        assert entry.decision.after <= deleted
    kept_archives = [each for each in seen.archives if each.key not in deleted]
    for job in (each for each in seen.jobs if each.key in deleted):
        assert job.bucket_id not in seen.buckets
        assert not any(hold.bucket_id == job.bucket_id and hold.timestamp is None for hold in seen.holds)
        for archive in kept_archives:
            assert archive.jobs is not None or archive.bucket_id != job.bucket_id
            assert archive.jobs is None or job.job_id not in archive.jobs
    for job in (each for each in seen.jobs if each.key not in deleted):
        assert f"bundles/{job.model_bundle_hash}" not in deleted
        assert job.model_bundle_hash is not None or not any(key.startswith("bundles/") for key in deleted)
    for archive in kept_archives:
        assert not any(f"bundles/{each}" in deleted for each in archive.bundles)
    for kind in (seen.archives, seen.jobs, seen.bundles):
        assert len([each for each in kind if each.key in deleted]) <= limit
    for archive in (each for each in seen.archives if each.key in deleted):
        assert archive.path not in seen.claimed
        assert not any(holds_it(seen, hold, archive.path) for hold in seen.holds)


def holds_it(seen: TenantSeen, hold: Hold, path: str) -> bool:
    """A hold on an archive that is not to be seen holds its bucket."""
    there = hold.timestamp is None or any(hold.covers(each.path) for each in seen.archives)
    return hold.covers(path) if there else path.startswith(f"{hold.bucket_id}/")


@given(tenant(), st.sampled_from([timedelta(minutes=6), -timedelta(minutes=6), timedelta(0)]))
def test_nothing_goes_in_an_uncertain_run(seen: TenantSeen, skew: timedelta) -> None:
    plan = plan_retention([seen], NOW, max_deletions=9, skew=skew, complete=bool(skew))
    assert plan.due == []
    assert plan.begun == ()
    assert plan.problems


@given(tenant(), tenant("u"))
def test_tenants_are_decided_on_apart(one: TenantSeen, other: TenantSeen) -> None:
    both = plan_retention([one, other], NOW, max_deletions=99)
    alone = [plan_retention([each], NOW, max_deletions=99) for each in (one, other)]
    assert both.entries == alone[0].entries + alone[1].entries


@given(tenant())
def test_what_stays_is_what_something_stands_against(seen: TenantSeen) -> None:
    plan = plan_retention([seen], NOW, max_deletions=99)
    for entry in plan.entries:
        own = entry.seen
        if not isinstance(own, ArchiveSeen) or isinstance(entry.decision, Delete):
            continue
        stands = (
            own.unknown
            or own.kept_until >= NOW
            or own.path in seen.claimed
            or own.stored.legal_hold
            or (own.stored.locked_until is not None and own.stored.locked_until >= NOW)
            or any(holds_it(seen, hold, own.path) for hold in seen.holds)
            or seen.tenant_id is None
        )
        assert stands, entry.decision


def archive(day: int, *, until: datetime) -> ArchiveSeen:
    return ArchiveSeen(
        place=place(f"a/2026010{day}-000000"),
        stored=Stored(blobs=1, bytes=1),
        kept_until=until,
        has_manifest=True,
        jobs=frozenset(),
    )


def job(number: int, *, until: datetime, bundle: str | None = BUNDLES[0]) -> JobSeen:
    return JobSeen(
        job_id=JOBS[number], bucket_id="a", stored=Stored(blobs=1), kept_until=until, model_bundle_hash=bundle
    )


def bundle(number: int, *, until: datetime) -> BundleSeen:
    return BundleSeen(model_bundle_hash=BUNDLES[number], stored=Stored(blobs=1), kept_until=until)


def marked(target: Target) -> Mark:
    return Mark(target=target, tenant_id="t", request_id="r", holder="h", started_at="2026-02-28T00:00:00Z")


def test_what_was_begun_goes_first_and_then_the_oldest() -> None:
    seen = [archive(day, until=NOW - timedelta(days=day)) for day in (1, 2, 3, 4)]
    young = archive(5, until=NOW + timedelta(days=1))
    lost = Target(kind="job", key="jobs/j-000000000001", name="j-000000000001")
    marks = tuple(marked(target) for target in (seen[0].target, lost, young.target))
    tenant = TenantSeen(key="t", tenant_id="t", archives=(*seen, young), marks=marks)
    plan = plan_retention([tenant], NOW, max_deletions=2)
    assert gone(plan) == {seen[0].key, seen[3].key}
    assert [(begun.mark.target, begun.kept) for begun in plan.begun] == [
        (lost, None),
        (young.target, "kept for another 24h00m"),
    ]
    assert plan.entries[1].decision == Keep("kept until 2026-02-27, but over the limit of 2 archives a run")
    assert plan.problems == ()


def test_the_limit_is_one_for_archives_and_jobs_and_bundles() -> None:
    old = [NOW - timedelta(days=day) for day in (1, 2, 3)]
    tenant = TenantSeen(
        key="t",
        tenant_id="t",
        archives=tuple(archive(number + 1, until=until) for number, until in enumerate(old)),
        jobs=tuple(job(number, until=until, bundle=BUNDLES[number]) for number, until in enumerate(old)),
        bundles=tuple(bundle(number, until=until) for number, until in enumerate(old)),
    )
    plan = plan_retention([tenant], NOW, max_deletions=1)
    assert [entry.seen.key for entry in plan.due] == [seen[2].key for seen in (tenant.archives, tenant.jobs)] + [
        tenant.bundles[2].key
    ]
    assert plan.entries[3].decision == Keep(
        "no archive needs it; kept until 2026-02-28, but over the limit of 1 jobs a run"
    )
    assert plan.entries[6].decision == Keep(f"job {JOBS[0]} needs it")
    assert plan_retention([tenant], NOW, max_deletions=0).due == []


def test_a_hold_on_an_archive_that_is_not_there_holds_its_bucket_and_is_reported() -> None:
    past = NOW - timedelta(days=1)
    hold = Hold(bucket_id="a", timestamp="20260109-000000", reason="why", held_by="ana", held_at="2026-01-01T00:00:00Z")
    tenant = TenantSeen(
        key="t", tenant_id="t", holds=(hold,), archives=(archive(1, until=past),), jobs=(job(0, until=past),)
    )
    plan = plan_retention([tenant], NOW, max_deletions=9)
    assert [entry.decision for entry in plan.entries] == [Keep("held by ana: why")] * 2
    [problem] = plan.problems
    assert problem.startswith("tenant t: archive a/20260109-000000 is held and not there: look why; all of its bucket ")
    assert problem.endswith("stays until `livecalc retention release a/20260109-000000`")


def test_a_kept_job_without_a_record_keeps_every_bundle_and_is_named() -> None:
    past, later = NOW - timedelta(days=1), NOW + timedelta(days=2)
    tenant = TenantSeen(
        key="t", tenant_id="t", jobs=(job(0, until=later, bundle=None),), bundles=(bundle(1, until=past),)
    )
    plan = plan_retention([tenant], NOW, max_deletions=9)
    assert plan.entries[1].decision == Keep(f"job {JOBS[0]} cannot be read, and may need it")
    [problem] = plan.problems
    assert problem.endswith("kept for another 2 days; its record is gone, so every bundle of its tenant stays")
    assert problem.startswith(f"tenant t: job {JOBS[0]} stays: ")
    forgotten = TenantSeen(
        key="t", tenant_id="t", jobs=(job(0, until=past, bundle=None),), bundles=(bundle(1, until=past),)
    )
    assert len(plan_retention([forgotten], NOW, max_deletions=9).due) == 2


def test_a_bundle_that_a_kept_archive_names_stays_without_the_job() -> None:
    past = NOW - timedelta(days=1)
    kept = msgspec.structs.replace(archive(1, until=NOW), bundles=frozenset({BUNDLES[0]}))
    due = msgspec.structs.replace(archive(2, until=past), bundles=frozenset({BUNDLES[1]}))
    tenant = TenantSeen(
        key="t", tenant_id="t", archives=(kept, due), bundles=(bundle(0, until=past), bundle(1, until=past))
    )
    plan = plan_retention([tenant], NOW, max_deletions=9)
    assert plan.entries[2].decision == Keep(f"archive {kept.path} needs it")
    assert plan.entries[3].decision == Delete("no job needs it any more", frozenset({due.key}))


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=12), "kept for another 12 days"),
        (timedelta(hours=30), "kept for another 30h00m"),
        (timedelta(0), "kept for another 0s"),
    ],
)
def test_a_reason_says_how_long(left: timedelta, words: str) -> None:
    tenant = TenantSeen(key="t", tenant_id="t", archives=(archive(1, until=NOW + left),))
    [entry] = plan_retention([tenant], NOW, max_deletions=2).entries
    assert entry.decision == Keep(words)
