"""The body of every error, RFC 9457, and how its `type` names the error's class on both sides."""

import re
from collections.abc import Iterator

from msgspec import Struct

from livecalc.domain.errors import LivecalcError

CONTENT_TYPE = "application/problem+json"
_TYPE_PREFIX = "/docs#problem-"
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


class Problem(Struct, frozen=True, kw_only=True):
    """`application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None


def problem_type(error: type[LivecalcError]) -> str:
    """Name an error's class as a problem's `type`: `/docs#problem-too-large`, where the docs explain it."""
    return _TYPE_PREFIX + _CAPITAL.sub("-", error.__name__).lower()


def error_class(kind: str) -> type[LivecalcError] | None:
    """Find the class that a problem's `type` names; None when it names none that we know."""
    return next((error for error in _tree(LivecalcError) if problem_type(error) == kind), None)


def _tree(error: type[LivecalcError]) -> Iterator[type[LivecalcError]]:
    yield error
    for each in error.__subclasses__():
        yield from _tree(each)
