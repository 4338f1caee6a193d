"""Wire values with everything filled in, and a transport that answers with what a test says."""

from collections.abc import Callable

import httpx

from livecalc.wire.jobs import Job, Progress


def make_job(state: str = "running", done: int = 0, name: str | None = None, job_id: str = "j-01jdx4m8k3q7") -> Job:
    return Job(
        job_id=job_id,
        bucket_id="b",
        name=name,
        labels={},
        model_bundle_hash="0" * 64,
        state=state,
        user_id="ana",
        created_at="2026-01-25T01:00:00Z",
        started_at=None,
        finished_at=None,
        scenarios=Progress(done=done, total=10),
        partitions=Progress(done=0, total=1),
        result_hash=None,
        error=None,
        environment={},
        archive=None,
        namespace="livecalc-bucket-b",
        model="m v1",
        block=5,
        seed=1,
        outputs=["npv"],
        retention="standard",
        retries=0,
    )


class Answering(httpx.BaseTransport):
    """Calls a function for each request, after reading its body."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._answer(request)
