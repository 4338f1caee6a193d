"""Pods that are not listed: what events and records tell of them. Pure, also of events that only Kubernetes has."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from lifecycle.test_runs import container, pod

from livecalc.cluster.port import EventRecord, PodRecord, Termination
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.absent import absent_pods, is_absent
from livecalc.lifecycle.archive.copies import Kept, silent_indexes, unclaimed_copies, with_copies
from livecalc.lifecycle.archive.manifest import ContainerLog
from livecalc.lifecycle.archive.runs import runs_of
from livecalc.records.model import PartitionPlan, SubmittedRecord

NOW = datetime(2026, 1, 25, 1, tzinfo=UTC)
JOB = "j-apex00000000"


def event(about: str, message: str = "", *, minutes: int = 0) -> EventRecord:
    return EventRecord(
        time=NOW + timedelta(minutes=minutes), type="Normal", reason="Any", object=about, message=message
    )


def job(partitions: int = 1, attempts: int = 2) -> SubmittedRecord:
    plans = [
        PartitionPlan(index=index, first=index, stop=index + 1, blob=f"b{index}", logs=names(index, attempts))
        for index in range(partitions)
    ]
    texts = dict.fromkeys(("bucket_id", "namespace", "tenant_id", "user_id", "model_bundle_hash", "model_name"), "x")
    return SubmittedRecord(
        job_id=JOB,
        name=None,
        labels={},
        bundle_size=1,
        model_version="1",
        scenarios=1,
        block=1,
        seed=1,
        nodes={},
        results=[],
        partitions=plans,
        deadline_seconds=1,
        retention="standard",
        image="none",
        versions={},
        created_at="2026-01-25T01:00:00Z",
        **texts,
    )


def names(index: int, attempts: int = 2) -> list[str]:
    return [f"jobs/{JOB}/logs/{index}-{attempt}-n" for attempt in range(attempts)]


def ours(name: str, index: int, statement: Statement | None = None) -> PodRecord:
    message = "" if statement is None else msgspec.json.encode(statement).decode()
    end = Termination(exit_code=0, message=message)
    return pod(name, container("main", terminated=end), labels={JOB_LABEL: JOB}, index=index)


def kept(name: str, index: int, statement: Statement | None = None, **log: object) -> Kept:
    """A pod of ours and what the archive has of it: the worker's copy when it states one."""
    source = "node" if statement is None else "worker"
    of_log = {"state": "unknown" if statement is None else "complete", "source": source, **log}
    [run] = runs_of(ours(name, index, statement))
    return run, ContainerLog(name="main", kind="main", **of_log)  # type: ignore[arg-type]  (each test gives fields of a log)


@pytest.mark.parametrize(
    "told",
    [event(f"Pod/{JOB}-1-abcde", "Started"), event(f"Job/{JOB}", f"Created pod: {JOB}-1-abcde")],
    ids=["of the pod", "of its job"],
)
def test_events_tell_of_a_pod_and_its_partition(told: EventRecord) -> None:
    [found] = absent_pods("n", [ours(f"{JOB}-0-fghij", 0)], [told], [job(2)])
    assert (found.name, found.job, found.index, found.labels) == (f"{JOB}-1-abcde", JOB, 1, {JOB_LABEL: JOB})
    assert (found.created_at, is_absent(found), found.alive) == (NOW, True, True)


def test_pods_that_are_listed_and_other_objects_are_no_absent_ones() -> None:
    events = [event("Pod/w"), event("Job/x", "Completed"), event("Namespace/n"), event("PersistentVolumeClaim/w2")]
    assert absent_pods("n", [pod("w", container("main"))], events, []) == []


@pytest.mark.parametrize("name", ["w", "a.b-c", "j-other-0-abcde", f"{JOB}-x-abcde", f"{JOB}--abcde", "-", f"{JOB}-0"])
def test_pods_of_no_job_of_ours_have_none(name: str) -> None:
    [found, *missing] = sorted(absent_pods("n", [], [event(f"Pod/{name}")], [job()]), key=lambda each: each.job)
    assert (found.name, found.job, found.index, found.containers[0].name) == (name, "", None, "")
    assert [each.name for each in missing] == [f"{JOB}-0"]


def test_of_each_retry_that_is_gone_there_is_a_record() -> None:
    events = [
        event(f"Pod/{JOB}-0-{suffix}", minutes=minute) for minute, suffix in enumerate(("aaaaa", "bbbbb", "ccccc"))
    ]
    found = absent_pods("n", [ours(f"{JOB}-0-ccccc", 0)], events, [job()])
    assert [each.name[-5:] for each in found] == ["aaaaa", "bbbbb"]


def test_copies_that_a_listed_pod_states_are_its_own() -> None:
    stated = kept("w", 0, Statement(state="succeeded", log_attempt=1))
    stored = {*names(0), *names(1)[:1]}
    assert unclaimed_copies(job(2), stored, [stated]) == {0: {0: names(0)[0]}, 1: {0: names(1)[0]}}
    assert unclaimed_copies(job(1), set(), [stated]) == {0: {}}


def test_a_copy_that_its_pod_states_and_that_the_archive_could_not_take_is_its_own_if_nothing_is_missing() -> None:
    statement = Statement(state="succeeded", log_attempt=1)
    stored = {*names(0)}
    whole, cut = (kept("w", 0, statement, source="node", state=state) for state in ("complete", "truncated"))
    assert unclaimed_copies(job(), stored, [whole]) == {0: {0: names(0)[0]}}
    assert unclaimed_copies(job(), stored, [cut]) == {0: dict(enumerate(names(0)))}
    assert (silent_indexes(job(), [whole]), silent_indexes(job(), [cut])) == (set(), {0})


def test_a_copy_that_may_be_of_a_listed_pod_too_stands_alone() -> None:
    killed = kept(f"{JOB}-0-bbbbb", 0)
    assert silent_indexes(job(), [killed, kept("w", 1, Statement(state="succeeded", log_attempt=0))]) == {0}
    assert silent_indexes(job(), [kept("never started", 0, source="none", state="complete")]) == set()
    absent = absent_pods("n", [killed[0].pod], [event(f"Pod/{JOB}-0-aaaaa")], [job()])
    assert [
        (each.name.removeprefix(f"{JOB}-"), source) for each, source in with_copies(job(), absent, {0: {0: "x"}}, {0})
    ] == [
        ("0-aaaaa", ""),
        ("0-attempt-0", "x"),
    ]


def test_one_copy_of_one_pod_is_given_to_it_and_others_stand_alone() -> None:
    gone = [event(f"Pod/{JOB}-0-aaaaa"), event(f"Pod/{JOB}-1-bbbbb"), event(f"Pod/{JOB}-1-ccccc")]
    absent = absent_pods("n", [], gone, [job(4)])
    copies = {0: {1: "zero"}, 1: {0: "one"}, 2: {0: "two", 1: "three"}}
    assert [(each.name.removeprefix(f"{JOB}-"), source) for each, source in with_copies(job(4), absent, copies)] == [
        ("0-aaaaa", "zero"),
        ("1-attempt-0", "one"),
        ("1-bbbbb", ""),
        ("1-ccccc", ""),
        ("2-attempt-0", "two"),
        ("2-attempt-1", "three"),
        ("3", ""),
    ]
