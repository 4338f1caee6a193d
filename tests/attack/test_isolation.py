"""Tenants that look alike, and grants used for what they are not of: on every store, each try is refused."""

import http.client
import os
from collections.abc import AsyncIterator, Generator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import combinations, pairwise
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

import blobstore
import httpx
import pytest
from attack.nasty_strings import PATHS, SURROGATES, UNPRINTABLE
from contracts.blob_adapters import ADAPTERS, open_grants, open_store
from lifecycle.stage import Stage, open_stage
from support.bundles import CONFIG, bundle, model_files
from support.site import Site, open_site

from livecalc.blobs.azure import connect
from livecalc.blobs.port import BlobStore, Verb, read_all
from livecalc.domain.errors import Forbidden, InvalidInput, NotFound
from livecalc.domain.namespaces import STATUS, Status
from livecalc.domain.tenants import Principal, tenant_key

pytestmark = pytest.mark.attack
FULL = os.environ.get("LIVECALC_ATTACK") == "full"
TWINS = (
    *("a", "a-b", "a--b", "A", "a-B", "a_b", "a.b", "a b", " a", "a ", "a/b", "a/../a", "..", "%61", "a%2db"),
    *("\u00e9", "e\u0301", "\uff41", "\u0430", "x-" + "0" * 38, "x-a", tenant_key("A"), "a" * 40, "a" * 41),
    *(
        "a" * 199 + "b",
        "a" * 199 + "c",
        "local",
        "results-a",
        "a-results",
        "*",
        "$(touch owned)",
        "'; DROP TABLE jobs;--",
    ),
)
"""Tenants whose names, or the names of whose containers, may be taken for another's."""


@pytest.fixture(scope="module")
def account() -> Generator[str]:
    """A blob store with nothing of other tests in it."""
    with blobstore.azurite() as connection_string:
        yield connection_string


@pytest.fixture(scope="module", params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def site(adapter: str, account: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    environment = {"AZURE_BLOB_CONNECTION_STRING": account} if adapter == "azure" else {}
    with open_site(tmp_path_factory.mktemp("site") / "home", **environment) as opened:
        yield opened


def submit(client: httpx.Client, digest: str, **fields: str) -> httpx.Response:
    form = {"bucket_id": "b", "model_bundle_hash": digest, **fields}
    return client.post("/v1/jobs/submit", files={name: (None, value.encode()) for name, value in form.items()})


def test_tenants_that_look_alike_see_nothing_of_each_other(site: Site) -> None:
    assert len({tenant_key(name) for name in TWINS}) == len(TWINS)
    own: dict[str, dict[str, str]] = {}
    for number, name in enumerate(TWINS):
        with site.caller(tenant=name) as client:
            seed = {**CONFIG, "scenarios": {**CONFIG["scenarios"], "seed": number}}
            pushed = client.post("/v1/bundles", content=bundle(model_files(seed))).json()["model_bundle_hash"]
            job = submit(client, pushed, bucket_id=f"twin-{number}").json()["job_id"]
            client.post(f"/v1/jobs/{job}/cancel")
            own[name] = {"bundle": pushed, "job": job, "bucket": f"twin-{number}"}
    for name in TWINS:
        with site.caller(tenant=name) as client:
            assert [job["job_id"] for job in client.get("/v1/jobs").json()] == [own[name]["job"]]
            assert [each["bucket_id"] for each in client.get("/v1/platform/namespaces").json()] == [own[name]["bucket"]]
            audited = client.get("/v1/platform/audit").json()
            assert {each["tenant_id"] for each in audited} == {name}
            assert {each["bucket_id"] for each in audited} == {None, own[name]["bucket"]}
            assert client.get("/v1/platform/audit/verify").json()["holds"]
    pairs = list(combinations(TWINS, 2)) if FULL else list(pairwise(TWINS))
    for name, other in pairs:
        with site.caller(tenant=name) as client:
            theirs = own[other]
            for path in (
                f"jobs/{theirs['job']}",
                f"bundles/{theirs['bundle']}",
                f"platform/namespaces/livecalc-bucket-{theirs['bucket']}",
            ):
                assert client.get(f"/v1/{path}").status_code == 404, (name, other, path)


@pytest.mark.parametrize(
    "text", [*UNPRINTABLE, *PATHS, *SURROGATES, "x" * 1024, "a/" * 512], ids=lambda text: ascii(text)[:40]
)
def test_no_blob_but_an_archives_own_is_read_by_its_path(site: Site, text: str) -> None:
    name = quote(text.encode("utf-8", "surrogatepass"), safe="")
    with site.caller(tenant="a") as client:
        for path in (
            f"/v1/platform/diagnostics/b/20260101-000000/{name}",
            f"/v1/platform/diagnostics/b/20260101-000000/logs/{name}/../../../../results-a/x",
            f"/v1/platform/diagnostics/{name}/20260101-000000/manifest.json",
        ):
            answer = client.get(client.base_url.copy_with(raw_path=path.encode()))
            assert answer.status_code in {404, 422}, (path, answer.text)


@pytest.fixture
async def stage(adapter: str, account: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, adapter, account if adapter == "azure" else "") as opened:
        yield opened


@pytest.mark.anyio
async def test_archives_of_tenants_that_look_alike_are_each_ones_own(stage: Stage) -> None:
    """Also where the tenant's key and the bucket's id together look like those of another."""
    tenants = TWINS if FULL else TWINS[:12]
    people = {Principal(tenant_id=name, user_id="ana"): f"b-{number}" for number, name in enumerate(tenants)}
    people[Principal(tenant_id="a-b-c", user_id="ana")] = "d"
    for principal, bucket_id in people.items():
        record = await stage.namespace(bucket_id, principal=principal)
        await stage.pod(record.name, "worker-1", f"echo secret of {bucket_id}")
        await stage.annotate(record, {STATUS: Status.FINALIZED})
    report = await stage.reaper().sweep()
    assert report.successful == len(people)
    for principal, bucket_id in people.items():
        [archive] = await stage.diagnostics.list_archives(principal)
        path = f"{bucket_id}/{archive.timestamp}/logs/worker-1.log"
        assert (archive.bucket_id, await stage.blob(path, principal)) == (
            bucket_id,
            b"secret of %s\n" % bucket_id.encode(),
        )
        for other in people.keys() - {principal}:
            assert await stage.diagnostics.list_archives(other, bucket_id) == []
            for tried in (path, f"../diagnostics-{principal.tenant_key}/{path}"):
                with pytest.raises((NotFound, InvalidInput)):
                    await stage.blob(tried, other)
            with pytest.raises(NotFound):
                await stage.diagnostics.verify(other, bucket_id, archive.timestamp)


Try = tuple[str, str, dict[str, str], bytes]
"""Method, path and query, headers, body."""


def tries(path: str, sas: str, other: str) -> list[Try]:
    """What a worker with a URL of one blob may try by hand; `other` is the path of another tenant's blob."""
    folder, container = path.rpartition("/")[0], "/".join(path.split("/")[:3])
    block = {"x-ms-blob-type": "BlockBlob"}
    commit = b"<?xml version='1.0'?><BlockList><Latest>YQ==</Latest></BlockList>"
    return [
        ("GET", f"{container}?restype=container&comp=list&{sas}", {}, b""),
        ("GET", f"{container}?restype=container&{sas}", {}, b""),
        ("GET", f"/{path.split('/')[1]}?comp=list&{sas}", {}, b""),
        ("DELETE", f"{path}?{sas}", {}, b""),
        ("DELETE", f"{container}?restype=container&{sas}", {}, b""),
        ("PUT", f"{container}x?restype=container&{sas}", {}, b""),
        ("PUT", f"{path}?comp=block&blockid=YQ%3D%3D&{sas}", {}, b"x"),
        ("PUT", f"{path}?comp=blocklist&{sas}", {}, commit),
        ("PUT", f"{path}?comp=metadata&{sas}", {"x-ms-meta-sha256": "0" * 64}, b""),
        ("PUT", f"{path}?comp=tags&{sas}", {}, b"<Tags><TagSet/></Tags>"),
        ("PUT", f"{path}?comp=lease&{sas}", {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}, b""),
        ("PUT", f"{path}?comp=properties&{sas}", {"x-ms-blob-content-type": "text/html"}, b""),
        ("PUT", f"{path}?comp=tier&{sas}", {"x-ms-access-tier": "Archive"}, b""),
        ("PUT", f"{path}x?{sas}", block, b"x"),
        ("PUT", f"{folder}?{sas}", block, b"x"),
        ("PUT", f"{other}?{sas}", block, b"x"),
        ("PUT", f"{other}new?{sas}", block, b"x"),
        ("PUT", f"{path}/../../../..{other}?{sas}", block, b"x"),
        ("PUT", f"{path}/%2e%2e/%2e%2e/victim?{sas}", block, b"x"),
        ("GET", f"{other}?{sas}", {}, b""),
        ("GET", f"{path}/../../../..{other}?{sas}", {}, b""),
        ("HEAD", f"{other}?{sas}", {}, b""),
        ("GET", f"{other}?{sas.replace('sr=b', 'sr=c')}", {}, b""),
        ("GET", f"{path}?{sas.replace('sp=c', 'sp=rcwdl').replace('sp=r&', 'sp=rcwdl&')}", {}, b""),
        ("DELETE", f"{path}?{sas.replace('sp=c', 'sp=d').replace('sp=r&', 'sp=d&')}", {}, b""),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.READ])
async def test_a_grant_of_the_service_is_good_for_nothing_else(account: str, verb: Verb) -> None:
    box, victim = (f"box-{uuid4().hex[:20]}" for _ in range(2))
    soon = datetime.now(UTC) + timedelta(minutes=5)
    async with connect(connection_string=account) as store:
        await store.write(victim, "jobs/1/secret", b"secret")
        await store.write(box, "jobs/1/there", b"old")
        url = urlsplit(await store.grant(box, "jobs/1/there", verb, expires_at=soon, limit=100))
        before = await picture(store)
        other = url.path.replace(box, victim).replace("there", "secret")
        answers = [(each, send(url.netloc, *each)) for each in tries(url.path, url.query, other)]
        if verb is Verb.CREATE:
            there = ("PUT", f"{url.path}?{url.query}", {"x-ms-blob-type": "BlockBlob"}, b"new")
            answers.append((there, send(url.netloc, *there)))
            read: Try = ("GET", f"{url.path}?{url.query}", {}, b"")
            answers.append((read, send(url.netloc, *read)))
        for asked, (status, body) in answers:
            assert 400 <= status < 500, (asked, status, body)
            assert b"secret" not in body or b"jobs/1/secret" in body, (asked, body)
            assert body not in {b"secret", b"old"}
        assert await picture(store) == before


@pytest.mark.anyio
async def test_a_snapshot_that_a_worker_makes_does_not_keep_its_blob_from_being_deleted(account: str) -> None:
    """The service's verb Create covers snapshots of the one blob (Microsoft: "Create a service SAS", permissions)."""
    box = f"box-{uuid4().hex[:20]}"
    async with connect(connection_string=account) as store:
        await store.write(box, "a", b"x")
        soon = datetime.now(UTC) + timedelta(minutes=5)
        url = urlsplit(await store.grant(box, "a", Verb.CREATE, expires_at=soon, limit=100))
        assert send(url.netloc, "PUT", f"{url.path}?comp=snapshot&{url.query}", {}, b"")[0] == HTTPStatus.CREATED
        assert [info.name async for info in store.list_blobs(box)] == ["a"]
        await store.delete(box, "a")
        with pytest.raises(NotFound):
            await store.stat(box, "a")


async def picture(store: BlobStore) -> dict[str, dict[str, tuple[bytes, dict[str, str]]]]:
    """All that is stored, bytes and metadata."""
    found: dict[str, dict[str, tuple[bytes, dict[str, str]]]] = {}
    for container in await store.list_containers("box-"):
        infos = [info async for info in store.list_blobs(container)]
        found[container] = {
            info.name: (await read_all(store, container, info.name), dict(info.metadata)) for info in infos
        }
    return found


def send(host: str, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """Send a request as it is: no client may tidy its path up."""
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=False, skip_accept_encoding=True)
        for name, value in {"x-ms-version": "2021-12-02", "Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.anyio
async def test_grants_of_one_tenant_are_of_no_use_with_another(adapter: str, account: str, tmp_path: Path) -> None:
    """Whose containers' names begin or end alike."""
    place = account if adapter == "azure" else str(tmp_path)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    async with open_store(adapter, place) as store:
        names = [f"results-{uuid4().hex[:8]}{tail}" for tail in ("", "-b", "b")]
        for name in names:
            await store.write(name, "jobs/1/x", name.encode())
        urls = {name: await store.grant(name, "jobs/1/x", Verb.READ, expires_at=soon, limit=0) for name in names}
        signed = {urlsplit(url).query for url in urls.values()}
        assert len(signed) == len(names)
        for name, url in urls.items():
            for other in set(names) - {name}:
                edited = url.replace(f"/{name}/", f"/{other}/")
                assert edited != url
                with pytest.raises(Forbidden):
                    open_grants(adapter).fetch(edited, tmp_path / "copy", limit=100)
