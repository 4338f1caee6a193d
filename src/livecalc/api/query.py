"""Read query parameters into a Struct: unknown, repeated, missing and wrong ones are refused in one clear sentence."""

from datetime import datetime
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from livecalc.domain.errors import InvalidInput

Q = TypeVar("Q", bound=Struct)
Timestamp = Annotated[datetime, Meta(tz=True)]
_MOST_PARAMETERS = 100
_SHOWN = 60


def read_query(kind: type[Q], raw: bytes) -> Q:
    """Read a query string; list fields may be given many times. Raises InvalidInput."""
    given = _split(raw)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in given:
        if name not in fields:
            known = f"it takes {', '.join(fields)}" if fields else "it takes none"
            raise InvalidInput(f"query parameter {name[:_SHOWN]!r} is unknown to this endpoint: {known}")
    values = {name: _read(field, given[name]) for name, field in fields.items() if name in given}
    for name, field in fields.items():
        if name not in values and field.required:
            raise InvalidInput(f"query parameter {name} is missing")
    return kind(**values)


def read_labels(texts: list[str], name: str, use: str = "key=value") -> dict[str, str]:
    """Read `key=value` texts that were given as `name`. Raises InvalidInput, which says what to `use`."""
    labels: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise InvalidInput(f"{name}={text[:_SHOWN]!r} is not valid: use {use}")
        labels[key] = value
    return labels


def _split(raw: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise InvalidInput("the query is not valid: use percent-encoded UTF-8, and not too many parameters") from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    return given


def _read(field: FieldInfo, values: list[str]) -> Any:
    name = field.encode_name
    bare = _bare(field.type)
    if get_origin(bare) is list:
        return [_convert(name, value, get_args(bare)[0]) for value in values]
    if len(values) > 1:
        raise InvalidInput(f"query parameter {name} is given {len(values)} times: give it once")
    return _convert(name, values[0], field.type)


def _convert(name: str, value: str, kind: Any) -> Any:
    # Lax conversion reads numbers and booleans from text, and would read "5" as a time and "null" as None.
    kind = _without_none(kind)
    try:
        return msgspec.convert(value, kind, strict=_bare(kind) is datetime)
    except msgspec.ValidationError:
        raise InvalidInput(f"query parameter {name}={value[:_SHOWN]!r} is not valid: use {_wanted(kind)}") from None


def _bare(kind: Any) -> Any:
    """A type without what Annotated says of it."""
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _without_none(kind: Any) -> Any:
    choices = get_args(_bare(kind))
    return next(each for each in choices if each is not NoneType) if NoneType in choices else kind


def _wanted(kind: Any) -> str:
    from msgspec import inspect

    found = inspect.type_info(kind)
    if isinstance(found, inspect.Metadata):
        found = found.type
    if isinstance(found, inspect.IntType):
        return f"a whole number from {found.ge} to {found.le}"
    if isinstance(found, inspect.EnumType):
        return "one of " + ", ".join(str(choice.value) for choice in found.cls)
    return "true or false" if isinstance(found, inspect.BoolType) else "a time such as 2026-01-25T01:00:00Z"
