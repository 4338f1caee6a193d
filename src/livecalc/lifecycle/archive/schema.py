"""What `manifest.schema.json` asks of a manifest, and where one differs; the keywords that it uses, and no others.

A library for JSON Schema is not needed at run time for that; the tests hold the two together.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Any, cast

import msgspec

MANIFEST_SCHEMA = "manifest.schema.json"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "null": (type(None),),
    "boolean": (bool,),
}
_SILENT = {"$schema", "$id", "$defs", "title", "description", "default"}
_MOST = 20
"""Differences told of one manifest; a text that is no manifest at all has hundreds."""
JsonObject = dict[str, Any]


@cache
def manifest_schema() -> JsonObject:
    """The schema, JSON Schema 2020-12."""
    return msgspec.json.decode(
        files("livecalc.lifecycle.archive").joinpath(MANIFEST_SCHEMA).read_bytes(), type=JsonObject
    )


def schema_differences(document: Any, schema: JsonObject | None = None) -> list[str]:
    """Say where a decoded JSON document is not as the schema (by default the manifest's) asks: `pods/0/name: ...`."""
    root = schema or manifest_schema()
    return _Check(root).differences(document, root, "")[:_MOST]


class _Check:
    def __init__(self, root: JsonObject) -> None:
        self._root = root

    def differences(self, value: Any, schema: JsonObject, at: str) -> list[str]:
        """All of them, outermost first."""
        found: list[str] = []
        for keyword, wanted in schema.items():
            if keyword not in _SILENT:
                found += getattr(self, f"_{keyword.lstrip('$')}")(value, wanted, schema, at)
        return found

    def _ref(self, value: Any, wanted: str, _schema: JsonObject, at: str) -> list[str]:
        target: Any = self._root
        for part in wanted.removeprefix("#/").split("/"):
            target = target[part]
        return self.differences(value, target, at)

    def _type(self, value: Any, wanted: str, _schema: JsonObject, at: str) -> list[str]:
        fits = isinstance(value, _TYPES[wanted]) or (
            isinstance(value, float) and wanted == "integer" and value.is_integer()
        )
        return (
            []
            if fits and isinstance(value, bool) == (wanted == "boolean")
            else [_said(at, f"is {_shown(value)}, and no {wanted}")]
        )

    def _const(self, value: Any, wanted: Any, _schema: JsonObject, at: str) -> list[str]:
        return [] if _same(value, wanted) else [_said(at, f"is {_shown(value)} instead of {_shown(wanted)}")]

    def _enum(self, value: Any, wanted: list[Any], _schema: JsonObject, at: str) -> list[str]:
        if any(_same(value, each) for each in wanted):
            return []
        return [_said(at, f"is {_shown(value)}, and none of {', '.join(map(_shown, wanted))}")]

    def _pattern(self, value: Any, wanted: str, _schema: JsonObject, at: str) -> list[str]:
        # JSON Schema has the patterns of ECMA-262, where `$` is the very end; Python's lets a newline follow it.
        strict = wanted[:-1] + r"\Z" if wanted.endswith("$") else wanted
        if not isinstance(value, str) or re.search(strict, value, re.ASCII) is not None:
            return []
        return [_said(at, f"is {_shown(value)}, which does not fit {wanted}")]

    def _minimum(self, value: Any, wanted: int, _schema: JsonObject, at: str) -> list[str]:
        if isinstance(value, bool) or not isinstance(value, int | float) or value >= wanted:
            return []
        return [_said(at, f"is {value}, which is below {wanted}")]

    def _anyOf(self, value: Any, wanted: list[JsonObject], _schema: JsonObject, at: str) -> list[str]:  # noqa: N802  (the keyword's)
        tried = [self.differences(value, each, at) for each in wanted]
        return [] if [] in tried else tried[0]

    def _items(self, value: Any, wanted: JsonObject, _schema: JsonObject, at: str) -> list[str]:
        if not isinstance(value, list):
            return []
        items = cast("list[Any]", value)
        return [each for index, item in enumerate(items) for each in self.differences(item, wanted, f"{at}/{index}")]

    def _required(self, value: Any, wanted: list[str], _schema: JsonObject, at: str) -> list[str]:
        if not isinstance(value, dict):
            return []
        return [_said(f"{at}/{name}", "is missing") for name in wanted if name not in value]

    def _properties(self, value: Any, wanted: JsonObject, _schema: JsonObject, at: str) -> list[str]:
        if not isinstance(value, dict):
            return []
        held = cast("JsonObject", value)
        return [
            each
            for name, schema in wanted.items()
            if name in held
            for each in self.differences(held[name], schema, f"{at}/{name}")
        ]

    def _additionalProperties(self, value: Any, wanted: Any, schema: JsonObject, at: str) -> list[str]:  # noqa: N802  (the keyword's)
        if not isinstance(value, dict):
            return []
        others = {
            name: held for name, held in cast("JsonObject", value).items() if name not in schema.get("properties", {})
        }
        if wanted is False:
            return [_said(f"{at}/{name}", "is not known to this format") for name in others]
        return [each for name, held in others.items() for each in self.differences(held, wanted, f"{at}/{name}")]


def _said(at: str, what: str) -> str:
    return f"{at.removeprefix('/') or 'it'} {what}"


def _same(value: Any, wanted: Any) -> bool:
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _shown(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except RecursionError:  # an encoder may come less deep than the decoder did
        return "nested too deeply"
    return text if len(text) <= 60 else f"{text[:60]}..."  # noqa: PLR2004  (what a line can hold)
