"""The OpenAPI document as one page: rendered on the server, with no script and nothing fetched from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Any

from livecalc.api.openapi import phrase
from livecalc.api.problems import TABLE
from livecalc.wire.problems import problem_type

Json = dict[str, Any]

POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b2430 }
nav a { margin-right: 1rem } a { color: #0b5cad } h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5dbe3 }
h3 { margin: 1.8rem 0 .2rem } h3 code { background: none; padding: 0 } .get { color: #0a6b3d } .post { color: #8a4b00 }
code { background: #f1f4f8; padding: .1em .3em; border-radius: 3px }
table { border-collapse: collapse; margin: .4rem 0 }
td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { background: #14181d; color: #dde3ea } code { background: #222a33 }
  a { color: #74b4f2 } h2 { border-color: #39424e }
  .get { color: #65c795 } .post { color: #e0a662 }
}
"""


def page(document: Json) -> str:
    """Render the page."""
    return "\n".join(_page(document))


def _page(document: Json) -> Iterator[str]:
    info = document["info"]
    topics: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            topics.setdefault(operation["tags"][0], []).append((method, path, operation))
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    yield f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    links = [f'<a href="#topic-{escape(topic)}">{escape(topic)}</a>' for topic in [*topics, "problems", "schemas"]]
    yield f'<nav>{"".join(links)}<a href="/openapi.json">openapi.json</a></nav>'
    yield "<p>All but the public endpoints need <code>Authorization: Bearer TOKEN</code>.</p>"
    for topic, operations in topics.items():
        yield f'<h2 id="topic-{escape(topic)}">{escape(topic)}</h2>'
        for method, path, operation in operations:
            yield from _operation(method, path, operation)
    yield from _problems()
    yield '<h2 id="topic-schemas">schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</body></html>"


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    public = " (public)" if operation.get("security") == [] else ""
    verb = f'<code class="{method}">{method.upper()}</code>'
    yield f'<h3 id="{operation["operationId"]}">{verb} <code>{escape(path)}</code></h3>'
    yield f"<p>{escape(operation['summary'])}.{public}</p>"
    rows = [
        (p["name"], _type(p["schema"]), _needed(p), _text(p.get("description", ""))) for p in operation["parameters"]
    ]
    if rows:
        yield "<table><tr><th>parameter</th><th>type</th><th></th><th></th></tr>"
        yield from (
            f"<tr><td><code>{escape(a)}</code></td><td>{b}</td><td>{c}</td><td>{d}</td></tr>" for a, b, c, d in rows
        )
        yield "</table>"
    if "requestBody" in operation:
        body = operation["requestBody"]
        kinds = ", ".join(f"<code>{escape(kind)}</code> {_type(c['schema'])}" for kind, c in body["content"].items())
        yield f"<p>Body: {kinds}. {_text(body['description'])}</p>"
    yield "<table>"
    for status, response in operation["responses"].items():
        kinds = [
            _type(c["schema"]) if "schema" in c else escape(kind) for kind, c in response.get("content", {}).items()
        ]
        words = _text(response["description"])
        yield f"<tr><td>{phrase(int(status))}</td><td>{', '.join(kinds)}</td><td>{words}</td></tr>"
    yield "</table>"


def _problems() -> Iterator[str]:
    yield '<h2 id="topic-problems">problems</h2><p>What the <code>type</code> of a problem means.</p><table>'
    for error, (status, title) in TABLE.items():
        anchor = problem_type(error).partition("#")[2]
        words = (error.__doc__ or "").strip().splitlines()[0]
        yield f'<tr id="{anchor}"><td>{phrase(status)}</td><td>{escape(title)}</td><td>{escape(words)}</td></tr>'
    yield "</table>"


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f'<h3 id="schema-{escape(name)}">{escape(name)}</h3><p>{_text(schema.get("description", ""))}</p><table>'
    required = schema.get("required", [])
    for field, kind in schema.get("properties", {}).items():
        optional = "" if field in required else "optional"
        yield f"<tr><td><code>{escape(field)}</code></td><td>{_type(kind)}</td><td>{optional}</td></tr>"
    yield "</table>"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "allOf" in schema:
        return " and ".join(map(_type, schema["allOf"]))
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("type", "any")))


def _needed(parameter: Json) -> str:
    return "required" if parameter["required"] else ""


def _text(text: str) -> str:
    """Escape a text; what stands between backticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
