"""What a pod's environment must say, or the worker ends with a sentence before it does anything."""

import subprocess
import sys

import pytest

POD = {
    "LIVECALC_HOME": "/nonexistent",
    "LIVECALC_NAMESPACE": "b",
    "LIVECALC_POD_NAME": "p",
    "LIVECALC_GRANTS": "file:/nothing",
    "JOB_COMPLETION_INDEX": "0",
    "LIVECALC_SCRATCH": "/nonexistent/scratch",
    "LIVECALC_TERMINATION_MESSAGE": "/nonexistent/message",
}


def run(environment: dict[str, str]) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "livecalc.bootstrap.worker"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("name", ["LIVECALC_HOME", "LIVECALC_GRANTS", "JOB_COMPLETION_INDEX"])
def test_a_missing_setting_is_wrong_settings(name: str) -> None:
    code, said = run({key: value for key, value in POD.items() if key != name})
    assert (code, said) == (
        2,
        f"Error: {name} is not set: `livecalc worker` is started by the cluster, inside a pod\n",
    )


@pytest.mark.parametrize("name", ["JOB_COMPLETION_INDEX", "LIVECALC_ATTEMPT"])
def test_a_number_that_is_none_is_wrong_settings(name: str) -> None:
    code, said = run({**POD, name: "first"})
    assert (code, said) == (2, f"Error: {name}='first' is not valid: use a whole number, at least 0\n")
