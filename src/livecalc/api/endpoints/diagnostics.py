"""`/v1/platform/diagnostics`: the archives of reaped namespaces, and every blob in them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from livecalc.api.call import Call, answer
from livecalc.api.problems import problem_line
from livecalc.api.query import Timestamp
from livecalc.api.ranges import read_range
from livecalc.api.route import NoQuery
from livecalc.api.streams import Stream
from livecalc.domain.buckets import check_any_bucket_id
from livecalc.wire import media
from livecalc.wire.diagnostics import LATEST, ArchiveVerification

_MEDIA_TYPES = {"json": media.JSON, "log": media.TEXT}


class ArchivesQuery(Struct, frozen=True, kw_only=True):
    """Whose archives."""

    bucket_id: Annotated[str | None, Meta(description="Only this bucket's.")] = None


class ViolationsQuery(Struct, frozen=True, kw_only=True):
    """Which violations."""

    since: Annotated[Timestamp | None, Meta(description="Only those that were extracted from this time on.")] = None
    bucket_id: Annotated[str | None, Meta(description="Only this bucket's.")] = None
    limit: Annotated[int, Meta(ge=1, le=10_000, description="At most so many, the newest.")] = 100


class VerifyQuery(Struct, frozen=True, kw_only=True):
    """With what."""

    blobs_only: Annotated[bool, Meta(description="Not with the tenant's audit chain, which is read whole.")] = False


class ReindexQuery(Struct, frozen=True, kw_only=True):
    """What to do about differences."""

    check: Annotated[bool, Meta(description="Only compare, and change nothing.")] = False


async def list_archives(call: Call[ArchivesQuery]) -> Response:
    """The newest of a bucket last."""
    bucket_id = _checked(call.query.bucket_id)
    return answer(await call.platform.diagnostics.list_archives(call.principal, bucket_id))


async def get_manifest(call: Call[NoQuery]) -> Response:
    """The manifest as it is stored, byte for byte."""
    manifest = await call.platform.diagnostics.manifest(call.principal, call.path("bucket_id"), call.path("timestamp"))
    return Response(manifest, media_type=media.JSON)


async def verify_archive(call: Call[VerifyQuery]) -> Response:
    """Check every blob against the manifest; `latest` instead of a timestamp is the bucket's newest archive."""
    diagnostics, bucket_id, timestamp = call.platform.diagnostics, call.path("bucket_id"), call.path("timestamp")
    if call.query.blobs_only:
        if timestamp == LATEST:
            timestamp = (await diagnostics.latest(call.principal, check_any_bucket_id(bucket_id))).timestamp
        return answer(await diagnostics.verify_blobs(call.principal, bucket_id, timestamp))
    if timestamp == LATEST:
        return answer(await diagnostics.verify_latest(call.principal, check_any_bucket_id(bucket_id)))
    return answer(await diagnostics.verify(call.principal, bucket_id, timestamp))


async def verify_archives(call: Call[NoQuery]) -> Response:
    """Check all archives, one line for each as it is done; what breaks it off is the last line, as a problem."""
    found = call.platform.diagnostics.verify_all(call.principal)
    path = call.request.scope["path"]
    return Stream(_lines(found), media.LINES, last_words=lambda error: problem_line(path, error))


async def list_violations(call: Call[ViolationsQuery]) -> Response:
    """Newest first, from the index."""
    query = call.query
    found = await call.platform.diagnostics.sentinel_violations(
        call.principal, since=query.since, bucket_id=_checked(query.bucket_id), limit=query.limit
    )
    return answer(found)


async def reindex_violations(call: Call[ReindexQuery]) -> Response:
    """Make the index anew from the archives."""
    found = await call.platform.diagnostics.reindex(call.principal, check=call.query.check, request_id=call.request_id)
    return answer(found)


async def get_blob(call: Call[NoQuery]) -> Response:
    """A blob, or a range of it; written once, its hash is its ETag."""
    path = f"{call.path('bucket_id')}/{call.path('timestamp')}/{call.path('path')}"
    info = await call.platform.diagnostics.stat_blob(call.principal, path)
    etag = f'"{info.sha256}"' if info.sha256 else ""
    headers = {"Accept-Ranges": "bytes"} | ({"ETag": etag} if etag else {})
    asked = call.request.headers
    if etag and etag in (each.strip() for each in asked.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    wanted = asked.get("range") if asked.get("if-range", etag) == etag else None
    part = read_range(wanted, info.size)
    first, stop = part or (0, info.size)
    headers["Content-Length"] = str(stop - first)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{stop - 1}/{info.size}"
    chunks = call.platform.diagnostics.read_blob(call.principal, path, offset=first, length=stop - first)
    media_type = _MEDIA_TYPES.get(path.rpartition(".")[2], media.BYTES)
    return Stream(chunks, media_type, status=200 if part is None else 206, headers=headers)


def _checked(bucket_id: str | None) -> str | None:
    return None if bucket_id is None else check_any_bucket_id(bucket_id)


async def _lines(found: AsyncGenerator[ArchiveVerification, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(found) as verifications:
        async for each in verifications:
            yield msgspec.json.encode(each) + b"\n"
