"""Wire values as text, against literal expectations."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from livecalc.cli.views.audit import list_audit
from livecalc.cli.views.jobs import list_jobs, show_job, summary
from livecalc.cli.views.namespaces import list_namespaces, show_namespace, show_plan, total_plan
from livecalc.cli.views.recomputation import explain, show_hashes, show_phases, verdict
from livecalc.wire.diagnostics import Archive, AuditEntry
from livecalc.wire.jobs import Difference, Job, NodeReport, OutputSummary, Progress, Recomputation, Result
from livecalc.wire.mttc import Phase, Verified
from livecalc.wire.namespaces import Namespace, SweepEntry

NOW = datetime(2026, 1, 26, 3, 0, 2, tzinfo=UTC)
HASH = "9be21f07c4d3" + "0" * 52
OTHER = "0f44d8e1a7b2" + "0" * 52
JOB = Job(
    job_id="j-01jdx4m8k3q7",
    bucket_id="q4-2025",
    name=None,
    labels={"valuation-date": "2025-12-31", "basis": "best-estimate"},
    model_bundle_hash="7c1e0b94d2aa" + "f" * 52,
    state="succeeded",
    user_id="ana",
    created_at="2026-01-25T01:00:02Z",
    started_at="2026-01-25T01:00:02Z",
    finished_at="2026-01-25T01:00:06Z",
    scenarios=Progress(done=1000, total=1000),
    partitions=Progress(done=2, total=2),
    result_hash=HASH,
    error=None,
    environment={"numpy": "2.4.6", "cpu": "avx2"},
    archive="q4-2025/20260126-010504",
    namespace="livecalc-bucket-q4-2025",
    model="term-life v1",
    block=40,
    seed=42,
    outputs=["bus://results/npv"],
    retention="standard",
    retries=1,
    nodes=[NodeReport(id="esg", engine="python", blocks=Progress(done=25, total=25), cpu_seconds=1.61)],
    recomputations=[Recomputation(at="2026-01-26T01:09:00Z", match=True, duration_seconds=41.3, result_hash=HASH)],
    kept_until="2026-02-25T01:05:11Z",
)
ARCHIVE = Archive(
    bucket_id="q4-2025",
    timestamp="20260126-010504",
    state="Complete",
    blobs=8,
    bytes=3_600_000,
    violations=0,
    reaped_at="2026-01-26T01:05:11Z",
    reaped_by="system:cleanup-worker",
    retain_until="2026-02-25T01:05:11Z",
)


def test_a_job_is_told_to_someone_who_was_not_there() -> None:
    assert show_job(JOB, ARCHIVE).splitlines() == [
        "Job        j-01jdx4m8k3q7   succeeded   (ana, 2026-01-25 01:00:02Z, 4s)",
        "Labels     basis=best-estimate valuation-date=2025-12-31",
        "Bundle     7c1e0b94d2aa   term-life v1",
        "Bucket     q4-2025   namespace reaped 2026-01-26 01:05:11Z, archive 20260126-010504",
        "Scenarios  1000/1000 in 25 blocks of 40, seed 42",
        "Workers    2 partitions, 1 retry",
        "Result     9be21f07c4d3   kept until 2026-02-25 (standard)",
        "Recompute  matched 2026-01-26 01:09:00Z in 41.3s",
        "Pinned to  numpy 2.4.6, avx2",
        "",
        "NODE  ENGINE  BLOCKS   CPU",
        "esg   python   25/25  1.6s",
    ]


def test_a_failed_job_says_why_and_how_its_memory_was_hurt() -> None:
    failed = msgspec.structs.replace(
        JOB, state="failed", result_hash=None, archive=None, error="node 'esg' raised\nValueError", violations=1
    )
    lines = show_job(failed, None).splitlines()
    assert "Bucket     q4-2025   namespace livecalc-bucket-q4-2025" in lines
    assert "Error      node 'esg' raised" in lines
    assert "           ValueError" in lines
    assert "Sentinels  1 violation of the model's memory" in lines
    assert not any(line.startswith("Result") for line in lines)


def test_jobs_are_listed_with_short_hashes_and_ages() -> None:
    assert list_jobs([JOB], NOW).splitlines() == [
        "JOB             BUCKET   NAME          STATE      SCENARIOS  RESULT        AGE",
        "j-01jdx4m8k3q7  q4-2025  term-life v1  succeeded  1000/1000  9be21f07c4d3  26h00m",
    ]


def test_a_summary_is_short_unless_it_shall_be_whole() -> None:
    output = OutputSummary(
        output="npv",
        count=1000,
        mean=68094678.7,
        se=88581.2,
        sd=2801172.0,
        quantiles={"0.5": 59143663.0, "5": 6.3e7, "50": 68191711.0, "95": 7.2e7, "99.5": 74276682.0},
        cte={"70": 6.4e7, "90": 6.2e7, "99": None},
    )
    result = Result(job_id="j-1", result_hash=HASH, outputs=[output])
    assert summary(result).splitlines() == [
        "OUTPUT        MEAN        SE         SD        P0.5         P50       P99.5",
        "npv     68,094,679  88,581.2  2,801,172  59,143,663  68,191,711  74,276,682",
    ]
    assert summary(result, whole=True).split() == [
        *["OUTPUT", "MEAN", "SE", "SD", "P0.5", "P5", "P50", "P95", "P99.5", "CTE70", "CTE90", "CTE99"],
        *["npv", "68,094,679", "88,581.2", "2,801,172"],
        *["59,143,663", "63,000,000", "68,191,711", "72,000,000", "74,276,682", "64,000,000", "62,000,000", "-"],
    ]


def test_namespaces_are_listed_and_an_unreadable_activity_is_unknown() -> None:
    active = Namespace(
        namespace="livecalc-bucket-q4",
        bucket_id="q4",
        created_at="2026-01-25T01:00:02Z",
        last_activity="2026-01-26T01:58:02Z",
        status="active",
        pod_count=3,
        pvc_count=0,
    )
    reaping = msgspec.structs.replace(active, status="reaping", last_activity=None, reaped_by="worker-7f2c")
    assert list_namespaces([active, reaping], NOW).splitlines() == [
        "NAMESPACE           BUCKET  STATUS                  IDLE     PODS  PVCS  AGE",
        "livecalc-bucket-q4  q4      active                  1h02m       3     0  26h00m",
        "livecalc-bucket-q4  q4      reaping by worker-7f2c  unknown     3     0  26h00m",
    ]
    assert "Activity   2026-01-26 01:58:02Z, 1h02m ago" in show_namespace(active, NOW)
    assert "Activity   unknown" in show_namespace(reaping, NOW).splitlines()


def test_a_plan_says_what_and_why_and_is_summed_up() -> None:
    entries = [
        SweepEntry(namespace="a", status="finalized", idle_seconds=7860, pods=4, decision="reap", reason="finalized"),
        SweepEntry(namespace="b", status="active", idle_seconds=None, pods=0, decision="stamp", reason="unreadable"),
        SweepEntry(namespace="c", status="reaping", idle_seconds=None, pods=0, decision="resume", reason="by w-7f"),
    ]
    assert show_plan(entries).splitlines() == [
        "NAMESPACE  STATUS     IDLE     PODS  DECISION  REASON",
        "a          finalized  2h11m    4     reap      finalized",
        "b          active     unknown  0     stamp     unreadable",
        "c          reaping    -        0     resume    by w-7f",
    ]
    assert total_plan(entries) == "3 namespaces: 1 to reap, 1 to resume, 1 to stamp."
    assert total_plan([]) == "0 namespaces: nothing to do."


VERIFIED = Verified(
    success=True,
    original_result_hash=HASH,
    resumed_result_hash=HASH,
    match=True,
    duration_seconds=40.3,
    message="MTTC verification passed: 40.30s",
    original_job_id="j-01jdx4m8k3q7",
    target_seconds=120.0,
    phases=[Phase(name="execute", seconds=28.7)],
    first_difference=None,
    environment={"original": {"numpy": "2.4.6"}, "resumed": {"numpy": "2.4.6"}, "differs": []},
)


def test_a_match() -> None:
    assert show_phases(VERIFIED.phases).splitlines() == ["PHASE    SECONDS", "execute    28.70"]
    assert show_hashes(VERIFIED).splitlines() == [
        "Original  9be21f07c4d3   j-01jdx4m8k3q7",
        "Resumed   9be21f07c4d3",
    ]
    assert verdict(VERIFIED) == "MATCH in 40.30s (target 120s)"
    assert explain(VERIFIED) == ""


def test_a_late_match_says_so() -> None:
    assert verdict(msgspec.structs.replace(VERIFIED, success=False)) == "MATCH in 40.30s (target 120s), LATE"


def test_a_mismatch_says_where_how_far_and_what_differs() -> None:
    difference = Difference(
        output="npv",
        block=7,
        first=280,
        stop=320,
        scenario=283,
        original=67912044.118203521,
        resumed=67912044.118203446,
        blocks_differing=3,
        blocks_total=25,
        values_differing=11,
        values_total=1000,
        largest_relative=2.4e-15,
        upstream="bus://scenarios/rates (node esg)",
    )
    mismatch = msgspec.structs.replace(
        VERIFIED,
        success=False,
        match=False,
        resumed_result_hash=OTHER,
        message="MTTC verification failed: the recomputation gave another result",
        first_difference=difference,
        environment={
            "original": {"numpy": "2.4.6", "cpu": "avx512"},
            "resumed": {"numpy": "2.4.6", "cpu": "avx2"},
            "differs": ["cpu"],
        },
    )
    assert show_hashes(mismatch).splitlines() == [
        "Original  9be21f07c4d3   j-01jdx4m8k3q7   numpy 2.4.6, avx512",
        "Resumed   0f44d8e1a7b2   numpy 2.4.6, avx2",
    ]
    assert verdict(mismatch) == "MISMATCH in 40.30s (target 120s)"
    assert explain(mismatch).splitlines() == [
        "MTTC verification failed: the recomputation gave another result",
        "First difference: output npv, block 7 (scenarios 280-319), scenario 283",
        "  original  67912044.11820352   resumed  67912044.11820345   (1.1e-15 relative)",
        "Extent: 3 of 25 blocks, 11 of 1,000 values; largest relative difference 2.4e-15",
        "Upstream: bus://scenarios/rates (node esg)",
        "Differs: cpu (avx512 -> avx2)",
        "Do: recompute where the original ran, or move the node to the wasm engine.",
    ]


def test_a_recomputation_without_a_result_says_why() -> None:
    failed = msgspec.structs.replace(
        VERIFIED,
        success=False,
        match=False,
        resumed_result_hash=None,
        message="MTTC verification failed: out of memory",
    )
    assert verdict(failed) == "NO RESULT in 40.30s (target 120s)"
    assert explain(failed) == "MTTC verification failed: out of memory"


def test_a_damaged_original_says_so_and_no_more() -> None:
    message = "MTTC verification failed: the original's stored result is damaged (partition 0)"
    environment = {"original": {"cpu": "avx512"}, "resumed": {"cpu": "avx2"}, "differs": ["cpu"]}
    damaged = msgspec.structs.replace(VERIFIED, success=False, match=False, message=message, environment=environment)
    assert explain(damaged) == message


def audit_entry(**fields: Any) -> AuditEntry:
    entry = AuditEntry(
        sequence=7,
        previous="0" * 64,
        hash=HASH,
        user_id="ana",
        tenant_id="acme",
        namespace="livecalc-bucket-q4",
        bucket_id="q4",
        timestamp="2026-01-25T01:00:02Z",
        operation="submit",
        phase="outcome",
        result="ok",
        request_id="r-1",
        detail={"job_id": "j-01jdx4m8k3q7"},
    )
    return msgspec.structs.replace(entry, **fields)


def test_audit_records_are_listed() -> None:
    refused = audit_entry(sequence=6, result="bucket q4 is finalized", detail={"labels": {}})
    assert list_audit([audit_entry(), refused, audit_entry(sequence=5, phase="intent", result=None, detail={})]) == (
        "SEQ  TIME                  USER  OPERATION  PHASE    RESULT  BUCKET  DETAIL\n"
        "  7  2026-01-25 01:00:02Z  ana   submit     outcome  ok      q4      job_id=j-01jdx4m8k3q7\n"
        "  6  2026-01-25 01:00:02Z  ana   submit     outcome  failed  q4      bucket q4 is finalized\n"
        "  5  2026-01-25 01:00:02Z  ana   submit     intent   -       q4      -"
    )


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ({"name": None, "labels": {}, "volumes_left": [], "note": ""}, "-"),
        (
            {"manifest_sha256": HASH, "model_bundle_hash": HASH},
            f"manifest_sha256={HASH[:12]}; model_bundle_hash={HASH[:12]}",
        ),
        ({"match": True, "force": False}, "force=no; match=yes"),
        ({"labels": {"basis": "best", "date": "2025"}, "name": "run 7"}, "labels=basis=best, date=2025; name=run 7"),
        ({"jobs": ["j-1", "j-2"], "bytes": 1234567, "seconds": 0.41}, "bytes=1,234,567; jobs=j-1, j-2; seconds=0.41"),
        (
            {"reason": "a reason longer than any column, to its end"},
            "reason=a reason longer than any column, to its end",
        ),
    ],
)
def test_details_are_what_an_auditor_reads(detail: dict[str, Any], shown: str) -> None:
    assert list_audit([audit_entry(detail=detail)]).splitlines()[1].endswith(f"  q4      {shown}")
