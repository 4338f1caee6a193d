"""`/v1/jobs`: submit, watch, read, cancel."""

import asyncio
from importlib import import_module
from typing import Annotated

from msgspec import Meta, Struct, field, structs
from starlette.responses import Response

from livecalc.api.accept import negotiate
from livecalc.api.call import Call, answer
from livecalc.api.endpoints.bundles import push_file
from livecalc.api.forms import read_submit
from livecalc.api.query import Timestamp, read_labels
from livecalc.api.route import NoQuery
from livecalc.api.streams import EventStream, Stream
from livecalc.domain.jobs import JobState
from livecalc.jobs.service import SubmitRequest
from livecalc.wire import media


class JobsQuery(Struct, frozen=True, kw_only=True):
    """Which jobs."""

    bucket_id: Annotated[str | None, Meta(description="Only this bucket's.")] = None
    state: Annotated[JobState | None, Meta(description="Only those in this state.")] = None
    label: Annotated[
        list[str], Meta(description="Only those with this label, `key=value`; may be given many times.")
    ] = field(default_factory=list[str])
    since: Annotated[Timestamp | None, Meta(description="Only those submitted from this time on.")] = None
    prefix: Annotated[str, Meta(description="Only those whose id begins so.")] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000, description="At most so many, the newest.")] = 100


class LogsQuery(Struct, frozen=True, kw_only=True):
    """How far to read."""

    follow: Annotated[bool, Meta(description="Go on until the job has ended.")] = False


class ResultQuery(Struct, frozen=True, kw_only=True):
    """Which part of the result."""

    output: Annotated[list[str], Meta(description="Of the arrays only this output; may be given many times.")] = field(
        default_factory=list[str]
    )


async def submit_job(call: Call[NoQuery]) -> Response:
    """202; the work goes on behind it."""
    async with read_submit(call.request, call.platform.bundles.limits.bytes) as form:
        request: SubmitRequest = form
        if form.bundle is not None:
            await call.platform.jobs.admit(call.principal, form, request_id=call.request_id)
            pushed = await push_file(call.platform, call.principal, form.bundle, request_id=call.request_id)
            request = structs.replace(form, model_bundle_hash=pushed.model_bundle_hash)
    submitted = await call.platform.jobs.submit(call.principal, request, request_id=call.request_id)
    return answer(submitted, 202, {"Location": submitted.status_url})


async def get_job(call: Call[NoQuery]) -> Response:
    """One job, alive or long gone."""
    return answer(await call.platform.jobs.get(call.principal, call.path("job_id")))


async def list_jobs(call: Call[JobsQuery]) -> Response:
    """Newest first."""
    query = call.query
    jobs = await call.platform.jobs.list_jobs(
        call.principal,
        bucket_id=query.bucket_id,
        state=query.state,
        labels=read_labels(query.label, "query parameter label"),
        since=query.since,
        prefix=query.prefix,
        limit=query.limit,
    )
    return answer(jobs)


async def job_logs(call: Call[LogsQuery]) -> Response:
    """Text, from the pods while they live, from the archive after."""
    chunks = call.platform.jobs.logs(call.principal, call.path("job_id"), follow=call.query.follow)
    return Stream(chunks, media.TEXT, stopping=call.site.stopping)


async def job_events(call: Call[NoQuery]) -> Response:
    """The job at once, whenever it changes, and last when it has ended."""
    return EventStream(call.platform.jobs.events(call.principal, call.path("job_id")), stopping=call.site.stopping)


async def job_result(call: Call[ResultQuery]) -> Response:
    """The summary, or the arrays in the form that `Accept` asks for."""
    accept = ",".join(call.request.headers.getlist("accept"))
    media_type = negotiate(accept, list(media.RESULT_FORMATS.values()))
    if media_type == media.JSON:
        return answer(await call.platform.jobs.result(call.principal, call.path("job_id")))
    await asyncio.to_thread(import_module, "livecalc.api.tables")  # which loads NumPy and PyArrow: 0.2 s
    from livecalc.api.tables import table_response

    arrays = await call.platform.jobs.arrays(call.principal, call.path("job_id"))
    return await table_response(arrays, call.query.output, media_type)


async def cancel_job(call: Call[NoQuery]) -> Response:
    """202; one that has ended stays as it is."""
    job = await call.platform.jobs.cancel(call.principal, call.path("job_id"), request_id=call.request_id)
    return answer(job, 202)
