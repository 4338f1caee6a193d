"""The form of a submit, however its bytes are cut: read, or refused in a sentence; the file never beyond its limit."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from support.asgi import behind_the_door, serving

from livecalc.api.forms import SubmitForm, read_submit
from livecalc.api.uploads import Upload, uploaded
from livecalc.domain.errors import Unavailable

LIMIT = 3 << 20
BOUNDARY = "frontier"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
seen: list[Path] = []


class Read(msgspec.Struct):
    form: dict[str, Any]
    bundle: bytes | None


async def form_endpoint(request: Request) -> Response:
    async with read_submit(request, LIMIT) as form:
        content = None if form.bundle is None else form.bundle.read_bytes()
        if form.bundle is not None:
            seen.append(form.bundle)
        body = msgspec.json.encode(
            {"form": msgspec.structs.asdict(msgspec.structs.replace(form, bundle=None)), "bundle": content}
        )
    return Response(body)


async def body_endpoint(request: Request) -> Response:
    async with uploaded(request, LIMIT) as path:
        seen.append(path)
        size = path.stat().st_size
    return Response(str(size))


@pytest.fixture(scope="module")
def forms() -> Iterator[httpx.Client]:
    with serving(behind_the_door(form_endpoint)) as client:
        yield client


@pytest.fixture(scope="module")
def bodies() -> Iterator[httpx.Client]:
    with serving(behind_the_door(body_endpoint)) as client:
        yield client


def part(name: str, value: bytes, *, extra: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
BUCKET = part("bucket_id", b"b1")
HASH = part("model_bundle_hash", b"0" * 64)


def detail(answer: httpx.Response, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def read(answer: httpx.Response) -> Read:
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Read)


def test_every_field(forms: httpx.Client) -> None:
    fields: list[tuple[str, Any]] = [
        ("bucket_id", (None, "b1")),
        ("name", (None, "Jahresabschluß")),
        ("labels", (None, "basis=best")),
        ("labels", (None, "date=2025=12")),
        ("partitions", (None, "4")),
        ("deadline_seconds", (None, "1.5")),
        ("retention", (None, "regulatory")),
        ("submit_key", (None, "run 7")),
        ("bundle", ("x.zip", b"PK", "application/zip")),
    ]
    found = read(forms.post("/", files=fields))
    assert found.bundle == b"PK"
    assert found.form == {
        "bucket_id": "b1",
        "model_bundle_hash": "",
        "name": "Jahresabschluß",
        "labels": {"basis": "best", "date": "2025=12"},
        "partitions": 4,
        "deadline_seconds": 1.5,
        "retention": "regulatory",
        "submit_key": "run 7",
        "bundle": None,
    }
    assert not seen[-1].parent.exists()


def test_a_hash_and_labels_as_json_and_empty_fields(forms: httpx.Client) -> None:
    body = BUCKET + HASH + part("labels", b'{"a": "1"}') + part("name", b"") + part("partitions", b"") + END
    found = read(forms.post("/", content=body, headers=TYPE))
    assert (found.form["labels"], found.form["name"], found.form["partitions"]) == ({"a": "1"}, None, None)
    assert found.form["model_bundle_hash"] == "0" * 64


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (HASH + END, "field bucket_id is missing"),
        (BUCKET + END, "submit either a bundle or a model_bundle_hash, and not both"),
        (BUCKET + HASH + part("bundle", b"x") + END, "submit either a bundle or a model_bundle_hash, and not both"),
        (BUCKET + BUCKET + HASH + END, "field bucket_id is given 2 times: give it once"),
        (BUCKET + HASH + part("bukket", b"x") + END, "field 'bukket' is unknown to a submit"),
        (BUCKET + part("bundle", b"x") + part("bundle", b"y") + END, "the form has more than one bundle: submit one"),
        (
            BUCKET + HASH + part("labels", b"nothing") + END,
            "field labels='nothing' is not valid: use key=value, or a JSON object",
        ),
        (BUCKET + HASH + part("name", b"\xff") + END, "field 'name' is not valid: a form's text is UTF-8"),
        (BUCKET + HASH, "the form is not whole: its last boundary is missing"),
        (b"", "the form is not whole: its last boundary is missing"),
        (b"nonsense", "the form is not valid multipart/form-data"),
        (BUCKET + HASH + part("name", b"x" * 70_000) + END, "the form's fields have more than 64 KiB together"),
    ],
)
def test_what_is_refused(forms: httpx.Client, body: bytes, sentence: str) -> None:
    assert detail(forms.post("/", content=body, headers=TYPE)) == sentence


@pytest.mark.parametrize("value", ["many", "1.5", "[]"])
def test_numbers_that_are_none(forms: httpx.Client, value: str) -> None:
    body = BUCKET + HASH + part("partitions", value.encode()) + END
    assert "partitions" in detail(forms.post("/", content=body, headers=TYPE))


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "", "multipart/mixed; boundary=x"])
def test_what_is_no_form(forms: httpx.Client, kind: str) -> None:
    assert "multipart/form-data" in detail(forms.post("/", content=BUCKET + HASH + END, headers={"Content-Type": kind}))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), content=st.binary(max_size=200), name=st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_form_means_the_same_however_it_is_cut(
    forms: httpx.Client, data: st.DataObject, content: bytes, name: str
) -> None:
    body = BUCKET + part("bundle", content, extra='; filename="b.zip"') + part("name", name.encode()) + END
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    found = read(forms.post("/", content=iter(pieces), headers=TYPE))
    assert found.bundle == (content or None) or (content == b"" and found.bundle == b"")
    assert found.form["name"] == (name or None)


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300))
def test_any_bytes_are_answered(forms: httpx.Client, body: bytes) -> None:
    assert forms.post("/", content=body, headers=TYPE).status_code == 422


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size >> 16):
        yield b"x" * 65536


def test_a_bundle_of_the_largest_size(forms: httpx.Client, bodies: httpx.Client) -> None:
    assert bodies.post("/", content=chunks(LIMIT)).text == str(LIMIT)
    found = read(forms.post("/", files={"bucket_id": (None, "b1"), "bundle": b"x" * LIMIT}))
    assert found.bundle == b"x" * LIMIT


def test_a_bundle_over_the_limit_is_refused_on_the_way(forms: httpx.Client, bodies: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b"x" * 65536

    def endless_form() -> Iterator[bytes]:
        yield BUCKET + part("bundle", b"")[:-2]
        yield from endless()

    sentence = "the bundle has more than 3 MiB (BUNDLE_LIMIT_MIB): make it smaller"
    assert detail(bodies.post("/", content=endless()), 413) == sentence
    assert sent < 2 * LIMIT
    sent = 0
    assert detail(forms.post("/", content=endless_form(), headers=TYPE), 413) == sentence
    assert sent < 2 * LIMIT


def test_an_announced_size_is_refused_unread(bodies: httpx.Client) -> None:
    def unread() -> Iterator[bytes]:
        raise AssertionError("the body was asked for")
        yield b""

    answer = bodies.post("/", content=unread(), headers={"Content-Length": str(LIMIT + 1)})
    assert answer.status_code == 413


def test_an_empty_body(bodies: httpx.Client) -> None:
    assert detail(bodies.post("/", content=b"")) == "the body is empty: send the bundle's bytes"


def test_uploads_leave_nothing(bodies: httpx.Client) -> None:
    before = set(Path(tempfile.gettempdir()).glob("livecalc-scratch-*"))
    bodies.post("/", content=b"x")
    bodies.post("/", content=chunks(LIMIT + (1 << 20)))
    assert set(Path(tempfile.gettempdir()).glob("livecalc-scratch-*")) <= before


def test_the_form_has_the_fields_of_the_reference() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "http.md").read_text()
    section = reference.split("### `POST /v1/jobs/submit`")[1].split("###")[0]
    for name in SubmitForm.__struct_fields__:
        assert f"| `{name}` |" in section, name


@pytest.mark.anyio
async def test_a_full_disk_is_one_sentence() -> None:
    upload = Upload(Path("/dev/full"), 8 << 20)
    await upload.write(b"x" * 1000)
    with pytest.raises(Unavailable) as caught:
        await upload.write(b"x" * (2 << 20))
    assert caught.value.detail == "the upload cannot be stored on the server: No space left on device"
