"""Models that print 200 MB (10 MB unless in full): nothing is lost or mixed, and no worker grows with its log."""

import os
from pathlib import Path

import pytest
from support.models import write_model
from support.pods import MEBIBYTE, check_log, submit

pytestmark = [pytest.mark.anyio, pytest.mark.attack]

MEGABYTES = 200 if os.environ.get("LIVECALC_ATTACK") == "full" else 10
PEAK_KIB = 64 * 1024


async def test_lines_arrive_whole_and_in_order(tmp_path: Path) -> None:
    code = f"""
    def main(block):
        for number in range({MEGABYTES} * 1000):
            print(f"{{number:0999d}}")
        return np.zeros(len(block))
    """
    model = write_model(tmp_path / "model", code, count=40)
    job = await submit(tmp_path, model, limits={"log_bytes": 1024 * MEBIBYTE}, log_limit=1025 * MEBIBYTE)
    pod = job.start()
    assert pod.wait() == 0
    lines = (await check_log(job, pod)).splitlines()
    assert lines[2:-1] == [f"{number:0999d}" for number in range(MEGABYTES * 1000)]
    assert pod.usage["peak_kib"] < PEAK_KIB


async def test_one_endless_line_streams_too(tmp_path: Path) -> None:
    code = f"""
    def main(block):
        for _ in range({MEGABYTES}):
            sys.stdout.write("x" * 10**6)
        return np.zeros(len(block))
    """
    model = write_model(tmp_path / "model", code, count=40)
    job = await submit(tmp_path, model, limits={"log_bytes": 1024 * MEBIBYTE}, log_limit=1025 * MEBIBYTE)
    pod = job.start()
    assert pod.wait() == 0
    assert len((await check_log(job, pod)).splitlines()[2]) == MEGABYTES * 10**6
    assert pod.usage["peak_kib"] < PEAK_KIB


async def test_what_is_over_the_limit_is_counted_and_dropped(tmp_path: Path) -> None:
    code = f"""
    def main(block):
        for number in range({MEGABYTES} * 100):
            print(f"{{number:09999d}}")
        return np.zeros(len(block))
    """
    model = write_model(tmp_path / "model", code, count=40)
    job = await submit(tmp_path, model, limits={"log_bytes": 5 * 10**6})
    pod = job.start()
    assert pod.wait() == 0
    assert pod.statement.log_truncated
    lines = (await check_log(job, pod)).splitlines()
    assert lines[2:502] == [f"{number:09999d}" for number in range(500)]
    assert lines[-1].startswith(f"livecalc: the log was cut: the model printed {MEGABYTES * 10**6:,} bytes")
    assert pod.usage["peak_kib"] < PEAK_KIB
