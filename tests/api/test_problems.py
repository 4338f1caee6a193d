"""Every error of the domain has its status, its type and its headers; nothing else leaks out."""

import json
import logging
from collections.abc import Iterator

import pytest
from starlette.types import Scope
from support.asgi import call

from livecalc.api.problems import TABLE, Refusal, expected, internal, problem
from livecalc.domain import errors
from livecalc.domain.errors import LivecalcError
from livecalc.wire.problems import Problem, error_class, problem_type

STATUSES = {
    "InvalidInput": 422,
    "TooLarge": 413,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "Conflict": 409,
    "AlreadyExists": 409,
    "PreconditionFailed": 409,
    "Reaping": 409,
    "Damaged": 500,
    "ModelFailed": 500,
    "Unavailable": 503,
    "LivecalcError": 500,
}


def tree(error: type[LivecalcError] = LivecalcError) -> Iterator[type[LivecalcError]]:
    yield error
    for each in error.__subclasses__():
        yield from tree(each)


def scope(**more: object) -> Scope:
    return {"type": "http", "method": "GET", "path": "/v1/jobs/ä b", "headers": [], **more}


@pytest.mark.parametrize("error", list(tree()), ids=lambda error: error.__name__)
def test_every_error_has_a_line(error: type[LivecalcError]) -> None:
    response = problem(scope(), error("what happened, to which object, what to do"))
    body = json.loads(bytes(response.body))
    assert response.status_code == body["status"] == STATUSES[error.__name__]
    assert response.headers["content-type"] == "application/problem+json"
    assert body["detail"] == "what happened, to which object, what to do"
    assert body["instance"] == "/v1/jobs/%C3%A4%20b"
    assert set(body) == {"type", "title", "status", "detail", "instance"}


@pytest.mark.parametrize("error", list(tree()), ids=lambda error: error.__name__)
def test_a_type_names_its_class_on_the_other_side(error: type[LivecalcError]) -> None:
    assert error_class(problem_type(error)) is error
    assert error_class("about:blank") is None


def test_the_table_knows_the_whole_tree() -> None:
    assert {error.__name__ for error in tree()} - {"ModelFailed"} == {error.__name__ for error in TABLE}


def test_who_may_come_back_is_told_when() -> None:
    assert problem(scope(), errors.Reaping("x")).headers["retry-after"] == "60"
    assert problem(scope(), errors.Unavailable("x")).headers["retry-after"] == "5"
    assert "retry-after" not in problem(scope(), errors.Conflict("x")).headers


def test_challenges_are_those_of_rfc_6750() -> None:
    tried = scope(headers=[(b"authorization", b"Bearer x")])
    error = errors.Unauthenticated('the "token"\nhas \\ expired é')
    assert problem(scope(), error).headers["www-authenticate"] == 'Bearer realm="livecalc"'
    expected = 'Bearer realm="livecalc", error="invalid_token", error_description="the \'token\'\'has \' expired \'"'
    assert problem(tried, error).headers["www-authenticate"] == expected
    forbidden = problem(tried, errors.Forbidden("no")).headers["www-authenticate"]
    assert forbidden == 'Bearer realm="livecalc", error="insufficient_scope", error_description="no"'


def test_groups_of_expected_errors_are_expected() -> None:
    first, second = errors.NotFound("a"), errors.Conflict("b")
    assert expected(first) is first
    assert expected(ExceptionGroup("", [first, second])) is first
    assert expected(ExceptionGroup("", [ExceptionGroup("", [second])])) is second
    assert expected(ExceptionGroup("", [first, KeyError("bug")])) is None
    assert expected(KeyError("bug")) is None


def test_what_http_itself_refuses() -> None:
    response = problem(scope(), Refusal(416, "outside", {"Content-Range": "bytes */7"}))
    body = json.loads(bytes(response.body))
    assert (body["type"], body["title"], response.headers["content-range"]) == (
        "about:blank",
        "Requested Range Not Satisfiable",
        "bytes */7",
    )


def test_a_bug_tells_nothing_but_where_to_look() -> None:
    body = Problem(**json.loads(bytes(internal(scope(), "r-1").body)))
    assert body.detail == "the server failed; its log tells more under request id r-1"


def test_a_bug_behind_the_doors_is_logged_and_hidden(caplog: pytest.LogCaptureFixture) -> None:
    async def endpoint() -> None:
        raise KeyError("secret-token")

    with caplog.at_level(logging.INFO, "livecalc.api"):
        answer = call(endpoint, headers={"X-Request-ID": "mine-1"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "mine-1" in answer.json()["detail"]
    assert answer.headers["x-request-id"] == "mine-1"
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "mine-1" in record.getMessage()


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "ü", "<script>", "a\tb"])
def test_request_ids_that_are_not_sane_are_replaced(given: str) -> None:
    async def endpoint() -> None:
        raise errors.NotFound("x")

    answer = call(endpoint, headers={"X-Request-ID": given.encode()})
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 16
