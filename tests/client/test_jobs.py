"""Jobs through the client, the whole application behind it: submit, wait, results, logs, cancel."""

# PyArrow has no types of its own, and a notebook calls what is private:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportPrivateUsage=false

import csv
import io
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from pyarrow import ipc, parquet
from support.jobs import FAILING, PRINTING, WAITING, WIDE, write_bundle
from support.site import Site

from livecalc.client import Client, JobHandle
from livecalc.domain.errors import Conflict, InvalidInput, ModelFailed, NotFound
from livecalc.wire import media
from livecalc.wire.jobs import Job


def test_a_result_as_a_frame(done: JobHandle) -> None:
    frame = done.result("total").to_pandas()
    assert list(frame.columns) == ["total"]
    assert frame.index.name == "scenario"
    assert list(frame.index) == list(range(16))
    assert f"{frame['total'].mean():.9g}" == f"{done.result().summary.mean:.9g}"


def test_a_job_by_the_first_digits_of_a_hash(calc: Client, done: JobHandle) -> None:
    digest = done.submitted.model_bundle_hash
    assert calc.resolve_bundle(digest[:8]) == digest
    seen: list[Job] = []
    again = calc.submit(digest[:12].upper(), bucket="one").wait(progress=seen.append)
    assert again.submitted.model_bundle_hash == digest
    assert again.job().result_hash == done.job().result_hash
    assert seen[-1].state == "succeeded"
    assert (seen[-1].scenarios.done, seen[-1].scenarios.total) == (16, 16)


def test_what_cannot_be_submitted(calc: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no bundle file and no hash, and this client packs no folders"):
        calc.submit("not-there", bucket="one")
    with pytest.raises(InvalidInput, match="this client packs no folders"):
        calc.submit(tmp_path, bucket="one")
    with pytest.raises(NotFound):
        calc.submit("0" * 64, bucket="one")
    with pytest.raises(InvalidInput, match="bucket id"):
        calc.submit(write_bundle(tmp_path / "b.zip"), bucket="One")
    with pytest.raises(InvalidInput, match="partitions"):
        calc.submit(write_bundle(tmp_path / "b.zip"), bucket="one", partitions=0)


def test_the_job_as_it_was_submitted(calc: Client, done: JobHandle) -> None:
    job = calc.job(done.job_id)
    assert (job.bucket_id, job.name, job.labels) == ("done", "small one", {"basis": "best", "x": "1=2"})
    assert (job.user_id, job.partitions.total, job.model) == ("ana", 2, "small v1")
    assert done.submitted.status_url == f"/v1/jobs/{done.job_id}"


def test_lists_are_filtered(calc: Client, done: JobHandle) -> None:
    assert [job.job_id for job in calc.jobs(bucket_id="done")] == [done.job_id]
    assert [job.job_id for job in calc.jobs(labels={"basis": "best", "x": "1=2"})] == [done.job_id]
    assert calc.jobs(labels={"basis": "worst"}) == []
    assert calc.jobs(bucket_id="done", state="failed") == []
    assert calc.jobs(bucket_id="done", since="2999-01-01T00:00:00Z") == []
    assert len(calc.jobs(limit=1)) == 1


def test_ids_are_completed(calc: Client, done: JobHandle) -> None:
    assert calc.resolve_job(done.job_id) == done.job_id
    assert calc.resolve_job(done.job_id[:12]) == done.job_id
    assert calc.handle(done.job_id).submitted == done.submitted
    with pytest.raises(InvalidInput, match="too short"):
        calc.resolve_job("j-01")
    with pytest.raises(NotFound):
        calc.resolve_job("j-zzzzzzzz")


def test_all_forms_hold_the_same_values(calc: Client, done: JobHandle) -> None:
    values = done.result("total").to_numpy()
    assert (values.shape, values.dtype) == ((16,), np.dtype("<f8"))
    arrow = ipc.open_stream(b"".join(calc.download_result(done.job_id, "arrow"))).read_all()
    stored = parquet.read_table(io.BytesIO(b"".join(calc.download_result(done.job_id, "parquet"))))
    text = b"".join(calc.download_result(done.job_id, "csv"))
    rows = list(csv.reader(io.StringIO(text.decode())))
    assert arrow.column_names == stored.column_names == rows[0] == ["scenario", "total"]
    assert arrow["total"].to_numpy().tobytes() == stored["total"].to_numpy().tobytes() == values.tobytes()
    assert np.array([float(row[1]) for row in rows[1:]]).tobytes() == values.tobytes()
    assert [int(row[0]) for row in rows[1:]] == list(range(16))


def test_a_wide_output(calc: Client, tmp_path: Path) -> None:
    handle = calc.submit(write_bundle(tmp_path / "wide.zip", WIDE), bucket="wide").wait()
    result = handle.result("total")
    columns = [f"total[{i},{j}]" for i in range(2) for j in range(3)]
    assert result.to_arrow().column_names == ["scenario", *columns]
    values = result.to_numpy()
    assert values.shape == (16, 2, 3)
    assert values[:, 1, 2].tobytes() == result.to_arrow()["total[1,2]"].to_numpy().tobytes()
    with pytest.raises(InvalidInput, match="use `summaries`"):
        _ = result.summary
    assert len(result.summaries) == 6
    assert len(result._repr_html_().split("<tr>")) == 8


def test_results_that_are_not_there(site: Site, done: JobHandle) -> None:
    with site.caller() as caller:
        path = f"/v1/jobs/{done.job_id}/result"
        assert caller.get(path, headers={"Accept": "image/png"}).status_code == 406
        unknown = caller.get(path, params={"output": "npv"}, headers={"Accept": media.CSV})
        assert (unknown.status_code, unknown.json()["detail"]) == (404, "there is no output 'npv': the job has total")
        assert caller.head(path, headers={"Accept": media.ARROW}).status_code == 200
    with pytest.raises(InvalidInput, match="name one of the job's outputs: total"):
        done.result("npv")


def test_a_result_is_shown(done: JobHandle) -> None:
    result = done.result()
    assert repr(result).startswith(f"total of job {done.job_id}, result ")
    assert "16 scenarios  mean " in repr(result)
    assert "<td>total</td><td>16</td>" in result._repr_html_()
    assert repr(done) == f"<job {done.job_id} in livecalc-bucket-done>"
    assert "<td>succeeded</td>" in done._repr_html_()


def test_a_model_that_fails(calc: Client, tmp_path: Path) -> None:
    handle = calc.submit(write_bundle(tmp_path / "bad.zip", FAILING), bucket="failing")
    with pytest.raises(ModelFailed, match="no such mortality table"):
        handle.wait()
    with pytest.raises(Conflict):
        handle.result()
    assert b"no such mortality table" in b"".join(handle.logs())


def test_follow_cancel_and_what_others_see(site: Site, calc: Client, tmp_path: Path) -> None:
    """One job that would run for ever: its log is followed, its events come, a stranger sees none of it, it ends."""
    handle = calc.submit(write_bundle(tmp_path / "wait.zip", WAITING), bucket="waiting", partitions=1)
    log = handle.logs(follow=True)
    assert any(b"the model began" in chunk for chunk in log)
    with site.caller(tenant="evil", user="eve") as eve:
        for method, suffix in (
            ("GET", ""),
            ("GET", "/logs"),
            ("GET", "/result"),
            ("GET", "/events"),
            ("POST", "/cancel"),
        ):
            assert eve.request(method, f"/v1/jobs/{handle.job_id}{suffix}").status_code == 404
        assert handle.job_id not in eve.get("/v1/jobs").text
        stolen = handle.submitted.model_bundle_hash
        files = {"bucket_id": (None, "hers"), "model_bundle_hash": (None, stolen)}
        assert eve.post("/v1/jobs/submit", files=files).status_code == 404
    with pytest.raises(Conflict):
        handle.result()
    states: list[str] = []
    watching = threading.Thread(target=lambda: states.extend(job.state for job in calc.watch(handle.job_id)))
    watching.start()
    assert handle.cancel().state == "cancelled"
    watching.join(20)
    assert states[-1] == "cancelled"
    assert b"the model began" not in b"".join(log)
    with pytest.raises(Conflict, match="was cancelled"):
        handle.wait()


def test_a_finished_job_cannot_be_cancelled(calc: Client, done: JobHandle) -> None:
    assert calc.cancel(done.job_id).state == "succeeded"


def test_logs_come_from_the_archive_after(calc: Client, tmp_path: Path) -> None:
    handle = calc.submit(write_bundle(tmp_path / "b.zip", PRINTING), bucket="logged", partitions=2).wait()
    reaped = calc.reap(handle.submitted.namespace, force=True)
    assert reaped.success, reaped.message
    log = b"".join(handle.logs())
    assert log.count(b"the model began") == 2
    assert log.count(b"==> ") == 2
    assert b"".join(handle.logs(follow=True)) == log
    job = handle.job()
    assert job.archive is not None
    assert (job.state, job.archive.rpartition("/")[0]) == ("succeeded", "logged")
    [listed] = calc.jobs(bucket_id="logged")
    assert (listed.archive, listed.kept_until) == (job.archive, job.kept_until)
    assert list(calc.watch(job.job_id)) == [job]
    assert handle.result().to_numpy().shape == (16,)


def test_a_run_is_recomputed(calc: Client, done: JobHandle) -> None:
    verified = calc.verify("done", done.submitted.model_bundle_hash, job_id=done.job_id)
    assert verified.success, verified.message
    assert verified.resumed_result_hash == verified.original_result_hash == done.job().result_hash
    with pytest.raises(NotFound):
        calc.verify("one", "0" * 64)


def test_the_body_of_a_recomputation_is_checked(site: Site) -> None:
    with site.caller() as caller:
        wrong = b'{"bucket_id": 1, "model_bundle_hash": "x"}'
        for body in (b"", b"{}", b"[]", b"\xff", wrong, b" " * 70_000, b'{"bucket_id":' + b"[" * 5000):
            answer = caller.post("/v1/platform/mttc/verify", content=body)
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith("the body is not valid: ")


def test_a_job_of_another_tenant_cannot_be_recomputed(site: Site, done: JobHandle) -> None:
    with site.client(tenant="evil", user="eve") as eve, pytest.raises(NotFound):
        eve.verify("done", done.submitted.model_bundle_hash, job_id=done.job_id)


def test_events_over_plain_http(site: Site, done: JobHandle) -> None:
    with site.caller() as caller:
        answer = caller.get(f"/v1/jobs/{done.job_id}/events")
    assert isinstance(answer, httpx.Response)
    assert answer.content.startswith(b"event: job\ndata: {")
    assert answer.content.count(b"event: job") == 1
