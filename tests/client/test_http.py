"""What a client makes of answers: values, the domain's errors, and one sentence for everything else."""

from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest
from support.wire import Answering, make_job

from livecalc.api.problems import TABLE
from livecalc.client import Client
from livecalc.client.http import path, query
from livecalc.domain import errors
from livecalc.domain.errors import InvalidInput, LivecalcError, Unavailable
from livecalc.wire.problems import Problem, problem_type

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer) -> Client:
    return Client(
        httpx.Client(transport=Answering(answer), base_url="http://calc.example"), target="http://calc.example"
    )


def failing(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        del request
        raise error

    return answer


def problem(status: int, kind: str) -> Answer:
    body = msgspec.json.encode(Problem(type=kind, title="t", status=status, detail="the sentence"))
    return lambda _: httpx.Response(status, content=body, headers={"Content-Type": "application/problem+json"})


@pytest.mark.parametrize("error", list(TABLE), ids=lambda error: error.__name__)
def test_an_error_comes_out_as_it_went_in(error: type[LivecalcError]) -> None:
    with client(problem(TABLE[error][0], problem_type(error))) as calc, pytest.raises(LivecalcError) as caught:
        calc.status()
    assert type(caught.value) is error
    assert caught.value.detail == "the sentence"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.InvalidInput),
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.TooLarge),
        (422, errors.InvalidInput),
        (500, errors.LivecalcError),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
    ],
)
def test_an_unknown_type_goes_by_its_status(status: int, error: type[LivecalcError]) -> None:
    with client(problem(status, "https://elsewhere.example/type")) as calc, pytest.raises(LivecalcError) as caught:
        calc.status()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b"{}", b"\xff", b"x" * 200_000, b'{"x":' + b"[" * 5000]
)
def test_an_answer_of_someone_else(body: bytes) -> None:
    with client(lambda _: httpx.Response(502, content=body)) as calc, pytest.raises(Unavailable) as caught:
        calc.status()
    assert caught.value.detail == "http://calc.example answered 502 Bad Gateway, and said no more"


@pytest.mark.parametrize("status", [302, 599])
def test_a_status_that_means_nothing_to_us(status: int) -> None:
    with client(lambda _: httpx.Response(status, headers={"Location": "/login"})) as calc, pytest.raises(Unavailable):
        calc.status()


@pytest.mark.parametrize(
    "body", [b"", b"<html>Welcome</html>", b"[]", b'{"version": 1}', b"\xff", b'{"x":' + b"[" * 5000]
)
def test_a_good_answer_that_is_none(body: bytes) -> None:
    with client(lambda _: httpx.Response(200, content=body)) as calc, pytest.raises(Unavailable) as caught:
        calc.status()
    assert caught.value.detail == ("http://calc.example gave an answer that no LiveCalc platform gives: is it one?")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (httpx.ConnectError("refused"), "http://calc.example cannot be reached (refused): is it running?"),
        (httpx.ConnectTimeout(""), "http://calc.example did not answer in time"),
        (httpx.ReadTimeout(""), "http://calc.example did not answer in time"),
        (httpx.ReadError("reset"), "http://calc.example broke off its answer (reset)"),
        (httpx.RemoteProtocolError(""), "http://calc.example broke off its answer (RemoteProtocolError)"),
    ],
)
def test_what_goes_wrong_on_the_way(error: Exception, sentence: str) -> None:
    with client(failing(error)) as calc, pytest.raises(Unavailable) as caught:
        calc.status()
    assert caught.value.detail == sentence


def test_a_stream_that_breaks_off() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"some"
            raise httpx.ReadError("reset")

    with client(lambda _: httpx.Response(200, stream=Broken())) as calc:
        chunks = calc.logs("j-01jdx4m8k3q7")
        assert next(chunks) == b"some"
        with pytest.raises(Unavailable):
            next(chunks)


@pytest.mark.parametrize("bad", ["", ".", ".."])
def test_names_that_climb_are_not_sent(bad: str) -> None:
    with client(lambda _: httpx.Response(200)) as calc, pytest.raises(InvalidInput):
        calc.namespace(bad)
    with client(lambda _: httpx.Response(200)) as calc, pytest.raises(InvalidInput):
        next(calc.blob(f"b/20260101-000000/{bad}/x"))


@pytest.mark.parametrize("name", ["a/b", "a?b=c", "a#b", "ü", "a b", "%2e", "a\nb", "+"])
def test_names_arrive_as_they_are(name: str) -> None:
    seen: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        return httpx.Response(404)

    with client(answer) as calc, pytest.raises(errors.NotFound):
        calc.job(name)
    assert seen[0].path == f"/v1/jobs/{name}"
    assert seen[0].raw_path.count(b"/") == 3


def test_parameters() -> None:
    assert (
        str(query({"a": None, "b": True, "c": False, "d": 3, "e": ["x", "y z"], "f": "ü"}))
        == "b=true&d=3&e=x&e=y+z&f=%C3%BC"
    )
    assert path("jobs", "a b") == "/v1/jobs/a%20b"


def test_pages_are_followed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("after")
        row = {
            "namespace": f"n{after or 0}",
            "bucket_id": "b",
            "created_at": "",
            "last_activity": None,
            "status": "active",
            "pod_count": 0,
            "pvc_count": 0,
            "a-field-of-tomorrow": 1,
        }
        links = {} if after == "2" else {"Link": f'</v1/platform/namespaces?after={int(after or 0) + 1}>; rel="next"'}
        return httpx.Response(200, json=[row], headers=links)

    with client(answer) as calc:
        assert [each.namespace for each in calc.namespaces()] == ["n0", "n1", "n2"]


def test_an_ambiguous_job_lists_its_candidates() -> None:
    ids = ["j-01jdx4m8k3q7", "j-01jdx4m9aaaa", "j-01jdx4zzzzzz"]

    def answer(request: httpx.Request) -> httpx.Response:
        found = [each for each in ids if each.startswith(request.url.params["prefix"])]
        return httpx.Response(200, content=msgspec.json.encode([make_job(job_id=each) for each in found]))

    with client(answer) as calc:
        with pytest.raises(InvalidInput) as caught:
            calc.resolve_job("j-01jdx4m")
        assert caught.value.detail == ("job 'j-01jdx4m' is ambiguous: j-01jdx4m8k3q7, j-01jdx4m9aaaa begin so")
        assert calc.resolve_job("j-01jdx4m8") == ids[0]
