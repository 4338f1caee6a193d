"""Names of logs, excuses of nodes, what a log is worth: pure, also of containers that the local cluster lacks."""

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecalc.blobs.names import check_blob
from livecalc.blobs.port import BlobInfo
from livecalc.cluster.port import ContainerRecord, PodRecord, Termination
from livecalc.domain.jobs import JOB_LABEL
from livecalc.domain.tasks import Statement
from livecalc.lifecycle.archive.runs import is_error_text, judge, log_name, metadata, runs_of, statement_of
from livecalc.lifecycle.archive.stored import StoredLogs, account_for

NOW = datetime(2026, 1, 25, tzinfo=UTC)
DEAD = Termination(exit_code=0)
DIGEST = hashlib.sha256(b"words").hexdigest()


def pod(name: str, *containers: ContainerRecord, uid: str = "", **changes: object) -> PodRecord:
    fields = {"phase": "Succeeded", "namespace": "n", "created_at": NOW, **changes}
    return PodRecord(name=name, uid=uid or f"uid-{name}", containers=containers, **fields)  # type: ignore[arg-type]


def container(name: str, **changes: object) -> ContainerRecord:
    return ContainerRecord(name=name, **{"state": "terminated", "terminated": DEAD, **changes})  # type: ignore[arg-type]


def names_of(*pods: PodRecord) -> list[str]:
    taken: set[str] = set()
    for each in pods:
        for run in runs_of(each):
            taken.add(log_name(run, taken))
    return sorted(taken)


def info(content: bytes, **about: str) -> BlobInfo:
    digest = hashlib.sha256(content).hexdigest()
    return BlobInfo(name="x", size=len(content), sha256=digest, created_at=NOW, metadata=about)


def test_every_container_and_every_run_has_a_log_of_its_own() -> None:
    whole = pod(
        "worker-1",
        container("setup", kind="init"),
        container("main", state="running", terminated=None, previous=Termination(exit_code=137, reason="OOMKilled")),
        container("proxy", kind="sidecar"),
        container("debugger-x", kind="ephemeral"),
    )
    assert names_of(whole) == [
        "logs/worker-1.debugger-x.log",
        "logs/worker-1.main.log",
        "logs/worker-1.main.previous.log",
        "logs/worker-1.proxy.log",
        "logs/worker-1.setup.log",
    ]
    [_, before, now, *_] = runs_of(whole)
    assert (before.previous, before.note, before.running) == (True, "OOMKilled", False)
    assert (now.previous, now.note, now.running) == (False, "", True)


def test_a_pod_with_one_container_needs_no_more_than_its_name() -> None:
    restarted = pod("w", container("main", previous=DEAD))
    assert names_of(restarted) == ["logs/w.log", "logs/w.main.previous.log"]


def test_names_that_meet_are_told_apart() -> None:
    dotted = pod("a.main", container("x"))
    plain = pod("a", container("main"), container("other"))
    twin = pod("a.main", container("x"), uid="another")
    assert names_of(dotted, plain, twin) == [
        "logs/a.main-2.log",
        "logs/a.main-3.log",
        "logs/a.main.log",
        "logs/a.other.log",
    ]


@settings(max_examples=30)
@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True),
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True),
)
def test_names_are_names_of_blobs(pod_name: str, container_name: str) -> None:
    for name in names_of(pod(pod_name, container(container_name, previous=DEAD), container("x"))):
        assert check_blob(f"b/20260125-010000/{name}")


def test_a_stored_log_is_of_one_run_only() -> None:
    [before, now] = runs_of(pod("w", container("main", previous=DEAD)))
    stored = info(b"words", namespace_uid="n", source="node", **metadata(now))
    assert now.is_run_of(stored)
    assert not before.is_run_of(stored)
    [twin] = runs_of(pod("w", container("main"), uid="another"))
    assert not twin.is_run_of(stored)


def test_what_never_started_says_why() -> None:
    waiting = container("main", state="waiting", terminated=None, reason="ImagePullBackOff")
    [run] = runs_of(pod("w", waiting, phase="Pending"))
    assert (run.started, run.note) == (False, "never started: ImagePullBackOff")
    [run] = runs_of(pod("w", container("main", state="waiting", terminated=None), phase="Pending"))
    assert run.note == "never started: Pending"


def test_only_our_workers_state_anything() -> None:
    statement = Statement(state="succeeded", log_sha256=DIGEST, log_bytes=5)
    ended = Termination(exit_code=0, message=msgspec.json.encode(statement).decode())
    ours = {JOB_LABEL: "j-1"}

    def read(name: str, labels: dict[str, str], end: Termination) -> Statement | None:
        [run] = runs_of(pod("w", container(name, terminated=end), labels=labels))
        return statement_of(run)

    assert read("main", ours, ended) == statement
    assert read("main", {}, ended) is None
    assert read("proxy", ours, ended) is None
    assert read("main", ours, Termination(exit_code=0, message="not json")) is None


@pytest.mark.parametrize(
    "text",
    [
        b"unable to retrieve container logs for containerd://3bb6fd00e2a1",
        b'failed to try resolving symlinks in path "/var/log/pods/x/0.log": lstat: no such file or directory\n',
        b'failed to open log file "/var/log/pods/x/0.log": open: no such file or directory',
        b"rpc error: code = NotFound desc = an error occurred when try to find container",
        b"failed to create fsnotify watcher: too many open files",
    ],
)
def test_excuses_are_no_logs(text: bytes) -> None:
    assert is_error_text(text, None)
    assert not is_error_text(text + b"\nand a second line\n", None)
    assert not is_error_text(b"the model says: " + text, None)
    assert not is_error_text(text + b"x" * 4096, None)
    printed = Statement(state="failed", log_sha256=hashlib.sha256(text).hexdigest(), log_bytes=len(text))
    assert not is_error_text(text, printed)


@given(st.binary(max_size=5000))
def test_other_bytes_are_logs(text: bytes) -> None:
    assert not is_error_text(b"[" + text, None)


@pytest.mark.parametrize(
    ("content", "statement", "running", "expected"),
    [
        (b"words", Statement(state="succeeded", log_sha256=DIGEST, log_bytes=5), False, ("complete", "")),
        (
            b"ds",
            Statement(state="succeeded", log_sha256=DIGEST, log_bytes=5),
            False,
            ("truncated", "rotated; 3 of 5 bytes gone"),
        ),
        (
            b"WORDS",
            Statement(state="succeeded", log_sha256=DIGEST, log_bytes=5),
            False,
            ("truncated", "not what its worker states it printed"),
        ),
        (b"words", None, True, ("truncated", "still running when it was archived")),
        (b"words", None, False, ("unknown", "nothing states how much it printed")),
        (b"words", Statement(state="interrupted"), False, ("unknown", "nothing states how much it printed")),
        (
            b"words",
            Statement(state="failed", log_sha256=DIGEST, log_bytes=5, log_truncated=True),
            False,
            ("truncated", "printed more than LOG_LIMIT_MIB; the rest was not kept"),
        ),
        (
            b"words",
            Statement(state="failed", log_sha256=DIGEST, log_bytes=5, log_truncated=True, log_refused=True),
            False,
            ("truncated", "the disk of its worker took no more; the rest was not kept"),
        ),
    ],
)
def test_what_a_log_is_worth(
    content: bytes, statement: Statement | None, *, running: bool, expected: tuple[str, str]
) -> None:
    assert judge(info(content), statement, while_running=running) == expected


def test_stored_logs_of_pods_that_are_gone_are_told_by_uid_also_of_one_name() -> None:
    first, second, absent = (pod("w", container("main"), uid=uid) for uid in ("u-1", "u-2", "absent-w"))
    runs = [run for each in (first, second, absent) for run in runs_of(each)]
    stored = {f"logs/{number}.log": info(b"words", **metadata(run)) for number, run in enumerate(runs)}
    logs = StoredLogs({**stored, "pods.json": info(b"[]")})
    assert logs.find(runs[0]) == ("logs/0.log", stored["logs/0.log"])
    assert logs.find(runs_of(pod("other", container("main")))[0]) == ("logs/other.log", None)
    assert [(each.name, each.uid, each.containers[0].blob) for each in logs.orphans()] == [
        ("w", "u-2", "logs/1.log"),
        ("w", "absent-w", "logs/2.log"),
    ]
    assert [each.uid for each in account_for([first], stored)] == ["u-1", "u-2", ""]
