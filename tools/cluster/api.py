"""The few calls that `up` makes to the API server, as the administrator."""

import http.client
import json
import ssl
from typing import Any

from .certificates import ADMIN, AUTHORITY
from .place import API_PORT, NODE_ADDRESS

_SECONDS = 10


def get(path: str) -> Any:
    """The body of a 200 (JSON as values, else text), or None: also when nothing answers."""
    status, body = _call("GET", path)
    return body if status == http.HTTPStatus.OK else None


def make(path: str, manifest: dict[str, Any]) -> bool:
    """Whether the object is there now."""
    status, _ = _call("POST", path, manifest)
    return status in {http.HTTPStatus.CREATED, http.HTTPStatus.CONFLICT}


def delete(path: str) -> None:
    """Delete at once, without grace; what is not there is as good as deleted."""
    _call("DELETE", path, {"gracePeriodSeconds": 0})


def _call(verb: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    try:
        trusted = ssl.create_default_context(cafile=str(AUTHORITY))
        trusted.load_cert_chain(ADMIN.certificate, ADMIN.key)
        connection = http.client.HTTPSConnection(NODE_ADDRESS, API_PORT, timeout=_SECONDS, context=trusted)
        content = None if body is None else json.dumps(body)
        connection.request(verb, path, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
    except (OSError, http.client.HTTPException):
        return 0, None
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(text) if is_json else text
