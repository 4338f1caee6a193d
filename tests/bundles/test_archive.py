"""Archives that lie. Each is a small good bundle with one thing changed."""

import hashlib
import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import Member, archive, bundle, members, model_files, with_manifest

from livecalc.bundles.archive import read_entries, stream
from livecalc.bundles.limits import Limits
from livecalc.bundles.verify import verify
from livecalc.domain.errors import InvalidInput, LivecalcError, TooLarge

GOOD = with_manifest(model_files())
ENTRIES = members(GOOD)
ZEROS = bytes(1 << 20)
X = Member(name=b"x", data=b"content")
SQUEEZED = Member(name=b"x", data=b"content" * 100, deflate=True)


def read(data: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    file = io.BytesIO(data)
    entries = read_entries(file, limits or Limits())
    return {path: b"".join(stream(file, entry)) for path, entry in entries.items()}


def with_x(**fields: object) -> bytes:
    """A good bundle and one more entry."""
    return archive([*ENTRIES, Member(**{"name": b"x", "data": b"content", **fields})])  # pyright: ignore[reportArgumentType]


def local(**own: object) -> bytes:
    return with_x(own=own)


BROKEN = [
    (b"", "not a ZIP archive"),
    (b"PK", "not a ZIP archive"),
    (b"#!/bin/sh\n" * 100, "not a ZIP archive"),
    (bundle(GOOD)[:-1], "cut short, or something follows its end"),
    (bundle(GOOD)[:-400], "cut short, or something follows its end"),
    (bundle(GOOD) + b"\0", "cut short, or something follows its end"),
    (archive(ENTRIES, comment=b"hello"), "cut short, or something follows its end"),
    (archive(ENTRIES, before=b"#!/bin/sh\n"), "not a ZIP archive|belong to no file"),
    (bundle(GOOD) + bundle(GOOD), "its directory is not where"),
    (archive(ENTRIES, entries=3), "its directory is not where"),
    (archive(ENTRIES, entries=3, disk_entries=3), "its directory is damaged"),
    (archive(ENTRIES, entries=5, disk_entries=5), "its directory is damaged"),
    (archive(ENTRIES, disk=1), "its directory is not where"),
    (archive(ENTRIES, directory_offset=0), "its directory is not where"),
    (archive(ENTRIES, entries=0xFFFF, disk_entries=0xFFFF), "ZIP64"),
    (archive(ENTRIES, directory_offset=0xFFFFFFFF), "ZIP64"),
    (archive([*ENTRIES, Member(name=b"x", extra=b"\0" * 40_000)]), "its directory is larger"),
    (with_x(name=b"../x"), "leads outside the bundle"),
    (with_x(name=b"/x"), "is absolute"),
    (with_x(name=b"C:\\x"), "backslash"),
    (with_x(name=b"a\0b"), "control character"),
    (with_x(name=b""), "empty part"),
    (with_x(name=b"x/"), "empty part"),
    (with_x(name=b"x//", data=b""), "empty part"),
    (with_x(name=b"../x/", data=b""), "leads outside the bundle"),
    (with_x(name=b"\xff", flags=0x0800), "is not marked as UTF-8"),
    (with_x(name="é".encode(), flags=0), "is not marked as UTF-8"),
    (with_x(name=b"model.py"), "one name twice"),
    (with_x(name=b"MODEL.py"), "one name twice"),
    (with_x(name=b"model.py/x"), "is a file, and a folder has that name"),
    (with_x(name=b"model.py/", data=b""), "is a file, and a folder has that name"),
    (with_x(mode=0o120777), "'x' is a link"),
    (with_x(mode=0o120777, flags=0x0800), "'x' is a link"),
    (with_x(mode=0o010644), "'x' is not a plain file"),
    (with_x(mode=0o020644), "'x' is not a plain file"),
    (with_x(mode=0o060644), "'x' is not a plain file"),
    (with_x(mode=0o140644), "'x' is not a plain file"),
    (with_x(mode=0o040755), "'x' is not a plain file"),
    (with_x(flags=0x0801), "'x' is encrypted"),
    (with_x(flags=0x0840), "'x' is encrypted"),
    (with_x(flags=0x2800), "'x' is encrypted"),
    (with_x(flags=0x0820), "flags 0x0820"),
    (with_x(method=12), "method 12"),
    (with_x(method=14), "method 14"),
    (with_x(method=93), "method 93"),
    (with_x(method=99), "method 99"),
    (with_x(size=8), "its two sizes differ"),
    (with_x(size=0xFFFFFFFF, compressed=0xFFFFFFFF), "ZIP64"),
    (with_x(extra=struct.pack("<2H2Q", 1, 16, 7, 7)), "extra field for ZIP64 or a second name"),
    (with_x(extra=struct.pack("<2HBL", 0x7075, 5, 1, 0) + b"y"), "extra field for ZIP64 or a second name"),
    (local(extra=struct.pack("<2H2Q", 1, 16, 7, 7)), "extra field for ZIP64 or a second name"),
    (local(name=b"y"), "described differently"),
    (local(size=8), "described differently"),
    (local(compressed=8), "described differently"),
    (local(crc=1), "described differently"),
    (local(method=8), "described differently"),
    (local(flags=0), "described differently"),
    (local(size=0, compressed=0, crc=0), "described differently"),
    (with_x(crc=1), "does not have the CRC"),
    (with_x(gap=b"between"), "bytes before 'x' belong to no file"),
    (with_x(tail=b"behind"), "bytes before its directory belong to no file"),
    (with_x(offset=0), "overlaps|bytes before"),
    (with_x(offset=3), "overlaps"),
    (with_x(offset=0xFFFFFFF0), "belong to no file|its header"),
    (with_x(size=100, compressed=100), "reaches into the archive's directory"),
    (with_x(flags=0x0808, own={"size": 0, "compressed": 0, "crc": 0}), "the bytes behind it"),
    (with_x(flags=0x0808, tail=b"PK\7\x08" + bytes(12)), "the bytes behind it"),
    (with_x(deflate=True, data=b"a" * 100, size=99), "larger than the 99 bytes"),
    (with_x(deflate=True, data=b"a" * 100, size=101), "has 100 bytes, and its header says 101"),
    (with_x(method=8, data=b"not deflated"), "cannot be inflated|does not end where"),
    (with_x(method=8, data=SQUEEZED.body()[:-2], size=700), "does not end where"),
    (with_x(method=8, data=SQUEEZED.body() + b"more", size=700), "does not end where"),
    (
        archive([Member(name=f"f{n}".encode(), data=X.data, offset=0, own={"name": b"f0"}) for n in range(3)]),
        "overlaps",
    ),
]


@pytest.mark.parametrize(("data", "reason"), BROKEN)
def test_refuses(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="bundle refused: "):
        verify(path, Limits())
    with pytest.raises(InvalidInput, match=f"bundle refused: .*({reason})"):
        read(data)


@pytest.mark.parametrize(
    "entry",
    [
        Member(name=b"x", data=b"content", deflate=True),
        Member(name=b"x", data=b"content", mode=0),
        Member(name=b"x", data=b"content", flags=0),
        Member(name=b"x", extra=struct.pack("<2HBL", 0x5455, 5, 1, 0)),
        Member(name=b"x", data=b"content", own={"extra": struct.pack("<2HBL", 0x5455, 5, 1, 0)}),
        Member(name=b"folder/", mode=0o40755),
    ],
)
def test_reads_what_is_plain(entry: Member) -> None:
    found = read(archive([*ENTRIES, entry]))
    assert found == (GOOD if entry.name == b"folder/" else {**GOOD, "x": entry.data})


@pytest.mark.parametrize("signature", [b"", b"PK\7\x08"])
@pytest.mark.parametrize("own", [{}, {"crc": 0, "size": 0, "compressed": 0}])
def test_reads_sizes_that_follow_the_data(signature: bytes, own: dict[str, int]) -> None:
    fields = SQUEEZED.fields()
    tail = signature + struct.pack("<3L", fields["crc"], fields["compressed"], fields["size"])
    entry = Member(name=b"x", data=SQUEEZED.data, deflate=True, flags=0x0808, own=dict(own), tail=tail)
    assert read(archive([*ENTRIES, entry, Member(name=b"y")]))["x"] == SQUEEZED.data


def test_refuses_a_bomb_by_its_ratio(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(archive([*ENTRIES, Member(name=b"x", data=16 * ZEROS, deflate=True)]))
    with pytest.raises(TooLarge, match=r"'x' grows from [\d,]+ to 16,777,216 bytes, over the ratio limit of 100"):
        verify(path, Limits())


def test_refuses_a_bomb_that_lies_before_it_grows() -> None:
    body = Member(name=b"x", data=64 * ZEROS, deflate=True).body()
    for size in (100, 100 * len(body)):
        data = archive([*ENTRIES, Member(name=b"x", data=body, method=8, size=size)])
        file = io.BytesIO(data)
        entry = read_entries(file, Limits())["x"]
        given: list[int] = []
        with pytest.raises(InvalidInput, match=f"larger than the {size:,} bytes"):
            given.extend(map(len, stream(file, entry)))
        assert sum(given) <= size


def test_refuses_a_bomb_of_many_files_by_their_sum() -> None:
    noise = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(100))
    many = [Member(name=f"f{n}".encode(), data=noise[:3000] * 10, deflate=True) for n in range(50)]
    with pytest.raises(TooLarge, match="its files have 1,500,000 bytes, over the limit of 1,000,000"):
        read(archive(many), Limits(bytes=1_000_000))


def test_refuses_too_many_entries_without_reading_them() -> None:
    data = archive([Member(name=f"f{n}".encode()) for n in range(60)])
    with pytest.raises(TooLarge, match="has 60 entries, over the limit of 50 files"):
        read(data, Limits(files=50))


def test_any_cut_is_refused() -> None:
    data = archive(members({"a": b"some", "b/c": b"content"}))
    for length in range(len(data)):
        with pytest.raises(InvalidInput):
            read(data[:length])


def test_any_changed_byte_is_refused_or_harmless() -> None:
    files = {"a": b"some", "b/c": b"content" * 20}
    data = archive(members(files, deflate=True))
    accepted = 0
    for place in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[place] ^= flip
            try:
                found = read(bytes(changed))
            except InvalidInput:
                continue
            accepted += 1
            assert sorted(found.values()) == sorted(files.values())
    assert accepted < len(data)


contents = st.binary(max_size=40) | st.integers(0, 3000).map(lambda n: b"ab" * n)
honest = st.dictionaries(st.text("abcé/.", min_size=1, max_size=6), contents, max_size=5)


@settings(deadline=None)
@given(honest, st.booleans())
def test_reads_as_the_standard_library_does(files: dict[str, bytes], deflate: bool) -> None:  # noqa: FBT001  (drawn)
    data = archive(members(files, deflate=deflate))
    try:
        found = read(data, Limits(ratio=2000))
    except InvalidInput:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as other:
        assert {name: other.read(name) for name in other.namelist() if not name.endswith("/")} == found


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_bytes_raise_anything_else(data: st.DataObject) -> None:
    whole = bytearray(archive(members({"a": b"some", "b": b"more" * 30}, deflate=True)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    reasons: list[str] = []
    try:
        read(bytes(whole))
    except LivecalcError as error:
        reasons.append(error.detail)
    assert all(reason.startswith("bundle refused: ") for reason in reasons)
