"""The body of every error, RFC 9457."""

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """`application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None


CONTENT_TYPE = "application/problem+json"
