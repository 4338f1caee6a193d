"""`/v1/platform/namespaces`: the transient namespaces of the caller's buckets."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from livecalc.api.call import Call, answer, answer_page
from livecalc.api.route import NoQuery
from livecalc.domain.namespaces import CREATED_AT
from livecalc.domain.retention import Retention
from livecalc.domain.timestamps import format_timestamp
from livecalc.wire.namespaces import NamespaceCreated

PATH = "/v1/platform/namespaces"
Force = Annotated[bool, Meta(description="Cancel the jobs that still run, instead of refusing with 409.")]


class CreateQuery(Struct, frozen=True, kw_only=True):
    """Which bucket."""

    bucket_id: Annotated[str, Meta(description="1 to 47 of a-z, 0-9 and '-'.")]
    retention: Annotated[
        Retention | None, Meta(description="How long the bucket's archive is kept; standard by default.")
    ] = None


class ListQuery(Struct, frozen=True, kw_only=True):
    """A page of namespaces."""

    limit: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 100
    after: Annotated[str, Meta(description="Those after this name; from Link.")] = ""
    recomputations: Annotated[bool, Meta(description="With the namespaces of recomputations.")] = False


class ForceQuery(Struct, frozen=True, kw_only=True):
    """Whether running jobs are in the way."""

    force: Force = False


class ReapQuery(Struct, frozen=True, kw_only=True):
    """The bucket again, so that nobody reaps another by a slip."""

    bucket_id: Annotated[str, Meta(description="The namespace's bucket.")]
    force: Force = False


async def create_namespace(call: Call[CreateQuery]) -> Response:
    """201 for a new one, 200 for one that is active already."""
    record, created = await call.platform.namespaces.create_namespace(
        call.principal, call.query.bucket_id, retention=call.query.retention, request_id=call.request_id
    )
    created_at = record.annotations.get(CREATED_AT) or format_timestamp(record.created_at)
    body = NamespaceCreated(namespace=record.name, bucket_id=record.bucket_id, created_at=created_at)
    return answer(body, 201 if created else 200)


async def list_namespaces(call: Call[ListQuery]) -> Response:
    """One page; `Link` leads to the next."""
    query = call.query
    found = await call.platform.namespaces.list_namespaces(
        call.principal, limit=query.limit + 1, after=query.after, recomputations=query.recomputations
    )
    kinds = {"recomputations": "true"} if query.recomputations else {}
    return answer_page(found, query.limit, PATH, lambda last: {"after": last.namespace, **kinds})


async def get_namespace(call: Call[NoQuery]) -> Response:
    """One namespace."""
    return answer(await call.platform.namespaces.get_namespace(call.principal, call.path("namespace")))


async def finalize_namespace(call: Call[ForceQuery]) -> Response:
    """No more work for it; the next sweep archives and deletes it."""
    namespace = await call.platform.namespaces.finalize_namespace(
        call.principal, call.path("namespace"), force=call.query.force, request_id=call.request_id
    )
    return answer(namespace)


async def reap_namespace(call: Call[ReapQuery]) -> Response:
    """Archive and delete it now."""
    reaped = await call.platform.namespaces.reap_namespace(
        call.principal,
        call.path("namespace"),
        bucket_id=call.query.bucket_id,
        force=call.query.force,
        request_id=call.request_id,
    )
    return answer(reaped)
