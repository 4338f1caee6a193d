"""The form of a submit, `multipart/form-data`: its fields checked, its bundle streamed to a file."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from livecalc.api.query import read_labels
from livecalc.api.uploads import Upload, check_announced, upload_folder
from livecalc.domain.decoding import decode_json
from livecalc.domain.errors import InvalidInput
from livecalc.jobs.request import SubmitRequest

_FIELD_LIMIT = 64 << 10
_OVERHEAD = 1 << 20
"""Bytes that fields and boundaries may add to a bundle of the largest size."""
_BUNDLE = "bundle"


class SubmitFields(SubmitRequest, frozen=True, kw_only=True):
    """The fields of a submit but the bundle itself; an empty field counts as absent."""

    model_bundle_hash: str = ""
    """Or its first digits, 8 or more."""


class SubmitForm(SubmitFields, frozen=True, kw_only=True):
    """A submit as it came."""

    bundle: Path | None = None
    """The uploaded file; None when the bundle is named by its hash."""


@asynccontextmanager
async def read_submit(request: Request, limit: int) -> AsyncGenerator[SubmitForm, None]:
    """Read the form; the bundle's file is there inside the context. Raises InvalidInput, TooLarge, Unavailable."""
    check_announced(request, limit + _OVERHEAD)
    async with upload_folder() as folder:
        parts = _Parts(_boundary(request), Upload(folder / "bundle.zip", limit))
        async for chunk in request.stream():
            await parts.feed(chunk)
        yield _check(await parts.finish(), parts.bundle)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidInput(
            "a submit is a form: send multipart/form-data with bucket_id, and bundle or model_bundle_hash"
        )
    return options[b"boundary"]


class _Parts:
    """Splits the body into parts. The parser's callbacks only note what they see; files are written after them."""

    def __init__(self, boundary: bytes, upload: Upload) -> None:
        self._upload = upload
        self._fields: dict[str, list[str]] = {}
        self._name = ""
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._value = bytearray()
        self._for_file: list[bytes] = []
        self._total = 0
        self._ended = False
        self.bundle: Path | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._named,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._whole,
            },
        )

    async def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise InvalidInput("the form is not valid multipart/form-data") from None
        for data in self._for_file:
            await self._upload.write(data)
        self._for_file.clear()

    async def finish(self) -> dict[str, list[str]]:
        """Return the fields, when the form is whole."""
        if not self._ended:
            raise InvalidInput("the form is not whole: its last boundary is missing")
        if self.bundle is not None:
            await self._upload.flush()
        return self._fields

    def _begin(self) -> None:
        self._name, self._disposition, self._value = "", b"", bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _named(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = _text(options.get(b"name", b""), "a field's name")
        if self._name == _BUNDLE:
            if self.bundle is not None:
                raise InvalidInput("the form has more than one bundle: submit one")
            self.bundle = self._upload.path

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == _BUNDLE:
            self._for_file.append(data[start:end])
        else:
            self._count(end - start)
            self._value.extend(data[start:end])

    def _end(self) -> None:
        if self._name != _BUNDLE:
            self._fields.setdefault(self._name, []).append(_text(self._value, f"field {self._name!r}"))

    def _whole(self) -> None:
        self._ended = True

    def _count(self, size: int) -> None:
        self._total += size
        if self._total > _FIELD_LIMIT:
            raise InvalidInput(f"the form's fields have more than {_FIELD_LIMIT >> 10} KiB together")


def _text(raw: bytes | bytearray, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} is not valid: a form's text is UTF-8") from None


def _check(fields: dict[str, list[str]], bundle: Path | None) -> SubmitForm:
    values: dict[str, object] = {}
    for name, given in fields.items():
        if name not in SubmitFields.__struct_fields__:
            raise InvalidInput(f"field {name[:60]!r} is unknown to a submit")
        if name == "labels":
            values[name] = _labels(given)
        elif len(given) > 1:
            raise InvalidInput(f"field {name} is given {len(given)} times: give it once")
        elif given[0]:
            values[name] = given[0]
    if "bucket_id" not in values:
        raise InvalidInput("field bucket_id is missing")
    if (bundle is None) == ("model_bundle_hash" not in values):
        raise InvalidInput("submit either a bundle or a model_bundle_hash, and not both")
    try:
        checked = msgspec.convert(values, SubmitFields, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the form is not valid: {error}") from None
    return SubmitForm(bundle=bundle, **msgspec.structs.asdict(checked))


def _labels(given: list[str]) -> dict[str, str]:
    """Read `key=value`, many times, or one JSON object."""
    if len(given) == 1 and given[0].lstrip().startswith("{"):
        try:
            return decode_json(given[0], dict[str, str])
        except msgspec.DecodeError as error:
            raise InvalidInput(f"field labels is not valid: {error}") from None
    return read_labels(given, "field labels", "key=value, or a JSON object")
