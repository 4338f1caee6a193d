"""Workers as real processes, with real grants on a real store: what they store, state and print, however they end."""

import hashlib
import sys
from pathlib import Path

import msgspec
import pytest
from support.models import NPV, Model, node, reads_rates, write_model
from support.pods import check_log, submit
from support.processes import processes_with

from livecalc.domain.errors import NotFound
from livecalc.domain.jobs import JobState
from livecalc.domain.partitions import join_outputs
from livecalc.domain.resulthash import result_hash

pytestmark = pytest.mark.anyio

PLAIN = """
def main(block):
    print(f"block {block.first}")
    return block.normals(1)[:, 0]
"""
SENTENCE = "node 'main', scenarios 0-39: "


async def test_a_worker_that_succeeds(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    pod = job.start()
    assert pod.wait() == 0
    record = await job.record()
    assert (record.state, record.first, record.stop, record.block) == (JobState.SUCCEEDED, 0, 80, 40)
    assert record.environment["image"] == "sha256:abc"
    assert record.started_at <= record.finished_at
    statement = pod.statement
    blob = await job.read("jobs/j-01jdx4m8k3q7/partitions/0")
    assert (statement.state, statement.error, statement.log_truncated) == ("succeeded", None, False)
    assert (statement.result_bytes, statement.result_sha256) == (len(blob), hashlib.sha256(blob).hexdigest())
    lines = (await check_log(job, pod)).splitlines()
    assert lines[0] == "livecalc: job j-01jdx4m8k3q7, partition 0, scenarios 0-79, try 1"
    assert lines[1].startswith("livecalc: bundle ")
    assert lines[2:4] == ["block 0", "block 40"]
    assert lines[4].startswith("livecalc: succeeded after ")
    assert len(lines) == 5
    assert pod.annotations[-1]["livecalc.io/progress"] == "80/80"
    assert pod.beats == 1
    assert pod.usage["heavy"] == []
    assert pod.usage["scratch"] == []
    assert processes_with(str(tmp_path)) == []


async def test_partitions_of_several_workers_join_to_the_hash_of_one(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", PLAIN, count=100, block=16)
    hashes: list[str] = []
    for partitions in (1, 3):
        folder = tmp_path / f"{partitions}"
        folder.mkdir()
        job = await submit(folder, model, partitions=partitions)
        pods = [job.start(index) for index in range(job.partitions)]
        assert [pod.wait() for pod in pods] == [0] * partitions
        outputs = join_outputs([await job.record(index) for index in range(partitions)], 100)
        hashes.append(result_hash({NPV: outputs[NPV]}))
    assert hashes[0] == hashes[1]


async def test_a_retry_that_finds_its_result_there(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    assert job.start().wait() == 0
    before = await job.read("jobs/j-01jdx4m8k3q7/partitions/0")
    again = job.start(attempt=1)
    assert again.wait() == 0
    assert await job.read("jobs/j-01jdx4m8k3q7/partitions/0") == before
    assert (again.statement.state, again.statement.result_sha256) == ("succeeded", None)
    assert "already" in await check_log(job, again, attempt=1)


async def test_a_retry_that_believes_to_be_the_first_takes_the_next_log(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    assert job.start().wait() == 0
    (tmp_path / "pod-0-0").rename(tmp_path / "before")
    again = job.start()
    assert again.wait() == 0
    assert again.statement.log_attempt == 1
    assert await job.log(attempt=1) == again.stdout


async def test_no_log_grant_left_is_stated(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN), tries=1)
    pod = job.start(attempt=1)
    assert pod.wait() == 0
    assert pod.statement.log_attempt is None
    assert pod.statement.log_sha256 == hashlib.sha256(pod.stdout).hexdigest()


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise ValueError('no curve')", "ValueError: no curve"),
        ("os._exit(0)", "the model ended its own process instead of returning (exit status 0)"),
        ("np.ones(100 * 2**30)", "needs more memory than its limit of 2 GiB: Unable to allocate"),
    ],
)
async def test_a_models_own_fault_is_final_and_recorded(tmp_path: Path, statement: str, error: str) -> None:
    code = f"""
    def main(block):
        print("before")
        {statement}
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code))
    pod = job.start()
    assert pod.wait() == 10
    record = await job.record()
    assert (record.state, record.outputs, record.violations) == (JobState.FAILED, {}, "")
    assert (record.error or "").startswith(SENTENCE + error)
    assert (pod.statement.state, pod.statement.error) == ("failed", record.error)
    text = await check_log(job, pod)
    assert "before\n" in text
    assert text.splitlines()[-1].startswith("livecalc: failed after ")


async def test_a_violation_is_annotated_recorded_and_final(tmp_path: Path) -> None:
    code = """
    def main(block, *, rates):
        poke(rates, rates.nbytes)
        return rates.sum(axis=1)
    """
    job = await submit(tmp_path, write_model(tmp_path / "model", code, *reads_rates()))
    pod = job.start()
    assert pod.wait() == 11
    record = await job.record()
    assert record.violations.startswith("offset:1280,expected:0x")
    assert pod.annotations[-1]["memory-sentinel-violations"] == record.violations
    assert record.state is JobState.FAILED
    assert pod.statement.state == "failed"


async def test_another_bundle_than_asked_for_is_final(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    await submit(other, write_model(other / "model", "def main(block): pass"))
    bundle = (other / "bundle.zip").read_bytes()
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN), bundle=bundle)
    pod = job.start()
    assert pod.wait() == 12
    assert "damaged" in (pod.statement.error or "")
    assert (await job.record()).error == pod.statement.error
    await check_log(job, pod)


@pytest.mark.parametrize("bundle", [b"", b"PK\x03\x04" * 100])
async def test_a_bundle_that_is_none_is_final(tmp_path: Path, bundle: bytes) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN), bundle=bundle)
    pod = job.start()
    assert pod.wait() == 12
    assert (await job.record()).state is JobState.FAILED


async def test_a_bundle_over_the_limit_is_final(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN), limits={"bundle_bytes": 1000})
    pod = job.start()
    assert pod.wait() == 12
    assert "limit" in (pod.statement.error or "")


async def test_a_killed_model_may_be_tried_again(tmp_path: Path) -> None:
    job = await submit(
        tmp_path, write_model(tmp_path / "model", "def main(block): os.kill(os.getpid(), signal.SIGKILL)")
    )
    pod = job.start()
    assert pod.wait() == 1
    assert pod.statement.state == "interrupted"
    assert "killed (SIGKILL)" in (pod.statement.error or "")
    await check_log(job, pod)
    with pytest.raises(NotFound):
        await job.record()


async def test_a_forged_task_grant_is_said(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    pod = job.start(task_url=job.task_url.replace("task.json", "task.jsom"))
    assert pod.wait() == 1
    assert pod.statement.state == "interrupted"
    assert pod.statement.log_sha256 is None
    assert "forged" in (pod.statement.error or "")
    assert pod.stdout.decode() == f"livecalc: {pod.statement.error}\n"


async def test_an_index_that_is_not_there_is_said(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    pod = job.start(7)
    assert pod.wait() == 1
    assert "no partition 7" in (pod.statement.error or "")


async def test_a_cluster_that_is_away_does_not_end_the_work(tmp_path: Path) -> None:
    job = await submit(tmp_path, write_model(tmp_path / "model", PLAIN))
    pod = job.start(cluster_fails=True)
    assert pod.wait() == 0
    text = await check_log(job, pod)
    assert "livecalc: 1 heartbeat failed, the last: the cluster is away\n" in text
    assert "failed, the last: the cluster is away" in text.partition("annotation")[2]


async def test_results_over_the_limit_are_final(tmp_path: Path) -> None:
    code = "def main(block): return np.zeros((len(block), 1000))"
    job = await submit(tmp_path, write_model(tmp_path / "model", code), result_limit=100_000)
    pod = job.start()
    assert pod.wait() == 10
    record = await job.record()
    assert record.state is JobState.FAILED
    assert "limit" not in record.outputs
    assert "100000 bytes" in (record.error or "").replace(",", "")


async def test_a_model_that_reads_a_table_and_a_bundle_without_surprises(tmp_path: Path) -> None:
    code = """
    def main(block, *, policies):
        return np.full(len(block), policies["age"].sum())
    """
    model = write_model(tmp_path / "model", code, node("main", inputs={"policies": "inputs/policies.csv"}, npv=NPV))
    (model.folder / "inputs").mkdir()
    (model.folder / "inputs" / "policies.csv").write_text("age\n20\n40\n")
    job = await submit(tmp_path, model)
    assert job.start().wait() == 0
    assert (await job.record()).outputs[NPV].dtype == "<i8"


async def test_engine_and_worker_agree_with_a_local_run(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", PLAIN)
    local = model.run(tmp_path / "scratch").outcome
    job = await submit(tmp_path, Model(folder=model.folder, config=model.config))
    assert job.start().wait() == 0
    assert msgspec.to_builtins((await job.record()).outputs) == msgspec.to_builtins(local.outputs)
    assert sys.version.startswith(str((await job.record()).environment["python"]))
