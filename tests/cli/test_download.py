"""Downloads: cut off and gone on with, never doubled, checked to the last byte, and nothing outside the folder."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
from support.site import BASE, Site, open_site

from livecalc.blobs.directory import DirectoryStore
from livecalc.cli.archive import Found, check, find, log_name, read_log
from livecalc.cli.download import PART, Fetched, fetch
from livecalc.cli.views.archives import tell_fetched
from livecalc.client import Client
from livecalc.domain.errors import Conflict, Damaged, InvalidInput, NotFound, Unavailable
from livecalc.lifecycle.archive.manifest import BlobEntry, ContainerLog, Manifest, PodLogs, encode

BIG = bytes(range(256)) * 12_000
BLOBS = {
    "logs/big.log": BIG,
    "logs/empty.log": b"",
    "logs/two.main.log": b"main\n",
    "logs/two.side.log": b"side\n",
    "events.json": b"[]\n",
}
PATH = "q4/20260126-010504"


def manifest_of(blobs: dict[str, bytes]) -> Manifest:
    def log(name: str, blob: str | None) -> ContainerLog:
        return ContainerLog(name=name, kind="main", state="complete" if blob else "lost", blob=blob, note="node gone")

    return Manifest(
        state="Complete", bucket_id="q4", timestamp=PATH.partition("/")[2], namespace="livecalc-bucket-q4",
        namespace_uid="u", tenant_id="acme", reason="finalized", reaped_by="ana", holder="h", request_id="r",
        namespace_created_at="2026-01-25T00:00:00Z", claimed_at="2026-01-26T01:05:04Z",
        archived_at="2026-01-26T01:05:11Z", retention="standard", retain_until="2026-02-25T01:05:04Z",
        pods=[
            PodLogs(name="big", uid="1", phase="Succeeded", containers=[log("main", "logs/big.log")]),
            PodLogs(name="two", uid="2", phase="Succeeded",
                    containers=[log("main", "logs/two.main.log"), log("side", "logs/two.side.log")]),
            PodLogs(name="away", uid="3", phase="Unknown", containers=[log("main", None)]),
        ],
        blobs=[
            BlobEntry(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in blobs.items()
        ],
        violations=0, jobs=[], audit_head=None, versions={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("download") / "home"
    store = DirectoryStore(home / "blobs")

    async def fill() -> None:
        for name, content in BLOBS.items():
            await store.write("diagnostics-acme", f"{PATH}/{name}", content)
        await store.write("diagnostics-acme", f"{PATH}/manifest.json", encode(manifest_of(BLOBS)))

    with open_site(home) as opened:
        anyio.run(fill)
        yield opened


class Line(httpx.BaseTransport):
    """The line to a site, which breaks after so many bytes of each body, and remembers what was asked for."""

    def __init__(self, site: Site) -> None:
        self._transport = site.transport
        self.after: list[int] = []
        """Of the bodies to come; then it holds."""
        self.asked: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path.rpartition("/")[2], request.headers.get("range", "")))
        response = self._transport.handle_request(request)
        if self.after and response.status_code < 300:
            assert isinstance(response.stream, httpx.SyncByteStream)
            return httpx.Response(
                response.status_code, headers=response.headers, stream=_Broken(response.stream, self.after.pop(0))
            )
        return response


class _Broken(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, after: int) -> None:
        self._stream = stream
        self._after = after

    def __iter__(self) -> Iterator[bytes]:
        left = self._after
        for chunk in self._stream:
            yield chunk[:left]
            left -= len(chunk)
            if left < 0:
                raise httpx.ReadError("the line broke")

    def close(self) -> None:
        self._stream.close()


@pytest.fixture
def line(site: Site) -> Line:
    return Line(site)


@pytest.fixture
def client(site: Site, line: Line) -> Client:
    headers = {"Authorization": f"Bearer {site.token()}"}
    return Client(httpx.Client(transport=line, base_url=BASE, headers=headers), target="test")


@pytest.fixture
def found(client: Client, line: Line) -> Found:
    archive = find(client, "q4")
    line.asked.clear()
    return archive


def nothing(_done: int, _total: int) -> None:
    return


def get(client: Client, found: Found, target: Path) -> Fetched:
    return fetch(client, found, target, nothing)


def changed(found: Found, blobs: dict[str, bytes]) -> Found:
    manifest = manifest_of(blobs)
    return msgspec.structs.replace(found, manifest=manifest, raw=encode(manifest))


def files(target: Path) -> set[str]:
    return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}


def test_showing_an_archive_does_not_walk_the_audit_chain(client: Client, found: Found) -> None:
    # This one lies in the store without any reap.
    whole = client.verify_archive(found.bucket_id, found.timestamp).differences
    assert [each for each in whole if "audit" in each]
    in_passing = check(client, found)
    assert in_passing is not None
    assert in_passing.differences == [each for each in whole if "audit" not in each]


def test_everything_is_fetched_once(client: Client, found: Found, line: Line, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    target = tmp_path / "deep" / "archive"
    report = fetch(client, found, target, lambda done, total: told.append((done, total)))
    whole = sum(map(len, BLOBS.values()))
    assert (report.blobs, report.whole, report.fetched, report.differences) == (5, 5, 5, [])
    assert report.bytes == whole
    assert tell_fetched(report) == f"{target}/: 5 blobs and the manifest, 2.9 MiB, 5 fetched now"
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((0, whole), (whole, whole))
    assert files(target) == {*BLOBS, "manifest.json"}
    assert {name: (target / name).read_bytes() for name in BLOBS} == BLOBS
    assert (target / "manifest.json").read_bytes() == found.raw
    line.asked.clear()
    assert get(client, found, target).fetched == 0
    assert line.asked == []
    (target / "events.json").write_bytes(b"()\n")
    assert get(client, found, target).fetched == 1
    assert (target / "events.json").read_bytes() == b"[]\n"


def test_a_broken_line_is_gone_on_with(client: Client, found: Found, line: Line, tmp_path: Path) -> None:
    line.after = [1_000_000, 1_500_000]
    assert get(client, found, tmp_path).differences == []
    assert [each for each in line.asked if each[0] == "big.log"] == [
        ("big.log", ""),
        ("big.log", "bytes=1000000-"),
        ("big.log", "bytes=2500000-"),
    ]
    assert (tmp_path / "logs/big.log").read_bytes() == BIG


def test_a_download_that_ended_early_is_gone_on_with_by_the_next(
    client: Client, found: Found, line: Line, tmp_path: Path
) -> None:
    line.after = [700_000, 0]
    with pytest.raises(Unavailable, match="the line broke"):
        get(client, found, tmp_path)
    assert files(tmp_path) == {f"logs/big.log{PART}"}
    line.after = []
    assert get(client, found, tmp_path).differences == []
    assert ("big.log", "bytes=700000-") in line.asked
    assert files(tmp_path) == {*BLOBS, "manifest.json"}


@pytest.mark.parametrize("left", [b"something else", BIG[:-1] + b"x", BIG + b"more", BIG[:1000], BIG])
def test_what_was_left_by_others_does_no_harm(client: Client, found: Found, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / f"logs/big.log{PART}").write_bytes(left)
    assert get(client, found, tmp_path).differences == []
    assert (tmp_path / "logs/big.log").read_bytes() == BIG
    assert files(tmp_path) == {*BLOBS, "manifest.json"}


def test_what_differs_or_is_missing_is_named_and_the_rest_is_fetched(
    client: Client, found: Found, tmp_path: Path
) -> None:
    other = changed(found, {**BLOBS, "events.json": b"{}\n", "pods.json": b"[]\n"})
    report = get(client, other, tmp_path)
    assert report.differences == [
        f"events.json is not what the manifest says; what came is {tmp_path}/events.json{PART}",
        "pods.json is missing, and the manifest lists it",
    ]
    assert (report.blobs, report.whole, report.fetched) == (6, 4, 4)
    assert tell_fetched(report).endswith("/: 4 of 6 blobs and the manifest, 2.9 MiB, 4 fetched now")
    assert files(tmp_path) == {*BLOBS, "manifest.json"} - {"events.json"} | {f"events.json{PART}"}
    assert get(client, found, tmp_path).differences == []
    assert files(tmp_path) == {*BLOBS, "manifest.json"}


@pytest.mark.parametrize(
    "name",
    ["../out", "logs/../../out", "/etc/out", "", "a//b", "a/.", "a\\b", "a%2e", "a\n", "manifest.json", "a" + PART],
)
def test_a_manifest_that_leads_elsewhere_is_refused_before_anything_is_written(
    client: Client, found: Found, line: Line, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "archive"
    with pytest.raises(Damaged, match="the manifest lists"):
        get(client, changed(found, {**BLOBS, name: b"x"}), target)
    assert line.asked == []
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    "there",
    [encode(manifest_of({})).replace(b"504", b"505"), b"{}", b"(", b"\xff", b'{"x":' + b"[" * 5000],
)
def test_a_folder_with_another_archive_is_refused(
    client: Client, found: Found, line: Line, tmp_path: Path, there: bytes
) -> None:
    (tmp_path / "manifest.json").write_bytes(there)
    with pytest.raises(Conflict, match=f"holds the manifest.json of something else than {PATH}: fetch into another"):
        get(client, found, tmp_path)
    assert (files(tmp_path), (tmp_path / "manifest.json").read_bytes()) == ({"manifest.json"}, there)
    assert line.asked == []


@pytest.mark.parametrize("name", [f"logs/other.log{PART}", "logs/other.log", "notes.txt"])
def test_a_folder_with_part_of_another_archive_is_refused(
    client: Client, found: Found, line: Line, tmp_path: Path, name: str
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / f"logs/big.log{PART}").write_bytes(BIG[:1000])
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(Conflict, match=f"holds {name}, which is not of {PATH}: fetch into another folder"):
        get(client, found, tmp_path)
    assert files(tmp_path) == {f"logs/big.log{PART}", name}
    assert line.asked == []


@pytest.mark.parametrize("link", ["logs", "events.json", f"events.json{PART}"])
def test_links_in_the_folder_are_not_followed_out_of_it(
    client: Client, found: Found, tmp_path: Path, link: str
) -> None:
    outside, target = tmp_path / "outside", tmp_path / "archive"
    outside.mkdir()
    target.mkdir()
    (target / link).symlink_to(outside if link == "logs" else outside / "file")
    with pytest.raises(InvalidInput, match="leads out of"):
        get(client, found, target)
    assert files(outside) == set()


def test_a_log_is_printed_and_checked_at_its_end(client: Client, found: Found) -> None:
    assert b"".join(read_log(client, found, "logs/big.log")) == BIG
    assert b"".join(read_log(client, found, "manifest.json")) == found.raw
    other = changed(found, {**BLOBS, "events.json": b"{}\n", "pods.json": b"[]\n"})
    came: list[bytes] = []
    with pytest.raises(Damaged, match=r"what was printed is not what the manifest says of events.json: its digest"):
        came.extend(read_log(client, other, "events.json"))
    assert came == [b"[]\n"]
    with pytest.raises(Damaged, match=r"pods.json is missing, and the manifest of archive"):
        list(read_log(client, other, "pods.json"))


@pytest.mark.parametrize(
    ("said", "blob"),
    [
        ("big", "logs/big.log"),
        ("logs/big.log", "logs/big.log"),
        ("big.log", "logs/big.log"),
        ("two.side", "logs/two.side.log"),
        ("two.main", "logs/two.main.log"),
        ("big.main", "logs/big.log"),
        ("events.json", "events.json"),
        ("manifest.json", "manifest.json"),
    ],
)
def test_a_log_is_found_by_what_people_call_it(found: Found, said: str, blob: str) -> None:
    assert log_name(found, said) == blob


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("two", "pod two has 2 logs in archive q4/20260126-010504: give one of two.main, two.side"),
        ("away", "pod away has no log in archive q4/20260126-010504: lost, node gone"),
        ("away.main", "container away.main has no log in archive q4/20260126-010504: lost, node gone"),
        ("big.side", "archive q4/20260126-010504 has no log big.side: "),
        ("none", "archive q4/20260126-010504 has no log none: `livecalc diagnostics show"),
    ],
)
def test_a_log_that_is_none_is_told(found: Found, said: str, sentence: str) -> None:
    with pytest.raises(NotFound) as caught:
        log_name(found, said)
    assert caught.value.detail.startswith(sentence)
