"""A submitted job in one's hand, for notebooks: wait for it, and take its results."""

from collections.abc import Callable, Iterator
from html import escape
from typing import TYPE_CHECKING, Self

from livecalc.client.result import ResultArray
from livecalc.domain.errors import Conflict, InvalidInput, ModelFailed, Unavailable
from livecalc.domain.jobs import JobState
from livecalc.wire.jobs import Job, Submitted

if TYPE_CHECKING:
    from livecalc.client.client import Client


class JobHandle:
    """One job. `submit(...).wait().result("npv").to_pandas()`."""

    def __init__(self, client: "Client", submitted: Submitted) -> None:
        self._client = client
        self.submitted = submitted

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.submitted.job_id

    def job(self) -> Job:
        """Read the job as it is now."""
        return self._client.job(self.job_id)

    def wait(self, progress: Callable[[Job], None] | None = None) -> Self:
        """Wait until the job has succeeded; `progress` is called whenever it has changed.

        Raises ModelFailed when it failed, with the reason, and Conflict when it was cancelled.
        """
        last: Job | None = None
        for last in self._client.watch(self.job_id):
            if progress is not None:
                progress(last)
        if last is None:
            raise Unavailable(f"the platform said nothing about job {self.job_id}")
        if last.state == JobState.CANCELLED:
            raise Conflict(f"job {self.job_id} was cancelled")
        if last.state != JobState.SUCCEEDED:
            raise ModelFailed(f"job {self.job_id} failed: {last.error or 'no reason was recorded'}")
        return self

    def result(self, output: str | None = None) -> ResultArray:
        """Take one output of a succeeded job, `npv`; the only one needs no name. Raises InvalidInput, Conflict."""
        result = self._client.result(self.job_id)
        names = list(dict.fromkeys(each.output.partition("[")[0] for each in result.outputs))
        if output is None and len(names) == 1:
            output = names[0]
        if output not in names:
            raise InvalidInput(f"name one of the job's outputs: {', '.join(names)}")
        return ResultArray(self._client, result, output)

    def logs(self, *, follow: bool = False) -> Iterator[bytes]:
        """Stream what the job's workers print, or printed."""
        return self._client.logs(self.job_id, follow=follow)

    def cancel(self) -> Job:
        """Stop the job."""
        return self._client.cancel(self.job_id)

    def __repr__(self) -> str:
        # Asks nobody: debuggers and tracebacks call it too. A notebook shows the job as it is.
        return f"<job {self.job_id} in {self.submitted.namespace}>"

    def _repr_html_(self) -> str:
        job = self.job()
        rows = {
            "Job": job.job_id,
            "State": job.state if job.error is None else f"{job.state}: {job.error}",
            "Bucket": job.bucket_id,
            "Model": job.model,
            "Scenarios": f"{job.scenarios.done}/{job.scenarios.total}",
            "Result": job.result_hash or "",
        }
        cells = (f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
        return f"<table>{''.join(cells)}</table>"
