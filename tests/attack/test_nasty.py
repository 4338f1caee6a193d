"""Nasty strings over HTTP: refused with 422, or kept as they are."""

import json
import os
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from attack.nasty_strings import (
    BUCKET_IDS,
    CODE,
    LOOKS,
    NO_BUCKET_IDS,
    PATHS,
    SPACES,
    SURROGATES,
    UNPRINTABLE,
)
from support.bundles import bundle, model_files
from support.site import Site, open_site

from livecalc.domain.buckets import is_bucket_id
from livecalc.domain.errors import InvalidInput
from livecalc.wire.notices import read_notice, write_notices

pytestmark = pytest.mark.attack
FULL = os.environ.get("LIVECALC_ATTACK") == "full"


def short(text: str) -> str:
    return ascii(text)[:40]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with open_site(tmp_path_factory.mktemp("site") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def ana(site: Site) -> Generator[httpx.Client]:
    with site.caller() as client:
        yield client


@pytest.fixture(scope="module")
def digest(ana: httpx.Client) -> str:
    return ana.post("/v1/bundles", content=bundle(model_files())).json()["model_bundle_hash"]


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def submit(client: httpx.Client, digest: str, **fields: str) -> httpx.Response:
    form = {"bucket_id": "b", "model_bundle_hash": digest, **fields}
    raw = {name: (None, value.encode("utf-8", "surrogatepass")) for name, value in form.items()}
    return client.post("/v1/jobs/submit", files=raw)


@pytest.mark.parametrize("text", [*NO_BUCKET_IDS, *SURROGATES], ids=short)
def test_what_is_no_bucket_id_is_refused(ana: httpx.Client, digest: str, text: str) -> None:
    answers = [
        ana.post(f"/v1/platform/namespaces?bucket_id={quoted(text)}"),
        submit(ana, digest, bucket_id=text),
        ana.post("/v1/platform/mttc/verify", content=json.dumps({"bucket_id": text, "model_bundle_hash": text})),
        ana.post(f"/v1/platform/namespaces/livecalc-bucket-b/reap?bucket_id={quoted(text)}"),
    ]
    assert [answer.status_code for answer in answers] == [422] * 4, [answer.text for answer in answers]
    for answer in answers:
        # The refused text may be shown, but as a literal.
        assert answer.json()["detail"].isprintable()


@pytest.mark.parametrize("text", BUCKET_IDS)
def test_an_odd_bucket_id_is_good(ana: httpx.Client, text: str) -> None:
    assert is_bucket_id(text)
    answer = ana.post(f"/v1/platform/namespaces?bucket_id={text}")
    assert answer.status_code == 201, answer.text
    assert ana.get(f"/v1/platform/namespaces/livecalc-bucket-{text}").json()["bucket_id"] == text


@pytest.mark.parametrize("text", [*UNPRINTABLE, *PATHS, *SPACES, *LOOKS, *SURROGATES], ids=short)
def test_names_in_paths_are_not_found_or_refused(ana: httpx.Client, text: str) -> None:
    name = quoted(text)
    for path in (
        f"/v1/jobs/{name}",
        f"/v1/bundles/{name}",
        f"/v1/platform/namespaces/{name}",
        f"/v1/platform/diagnostics/{name}/{name}",
        f"/v1/platform/diagnostics/b/20260101-000000/{name}",
        f"/v1/platform/diagnostics/{name}/20260101-000000/logs/x.log",
    ):
        url = ana.base_url.copy_with(raw_path=path.encode())
        answer = ana.get(url)
        # What is left of a name that is a dot or two may be another path, which is a list of one's own.
        assert answer.status_code in {404, 422} or text in {".", ".."}, (path, answer.text)
        assert "root:" not in answer.text


@pytest.mark.parametrize("text", [*UNPRINTABLE, *SURROGATES, "n" * 201], ids=short)
def test_job_names_and_labels_that_are_refused(ana: httpx.Client, digest: str, text: str) -> None:
    label = json.dumps({text[:70]: text})
    for answer in (submit(ana, digest, name=text), submit(ana, digest, labels=label)):
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"].isprintable()


def test_job_names_and_labels_that_are_kept(ana: httpx.Client, digest: str) -> None:
    kept = (*CODE, *LOOKS, *PATHS, "a b")
    for text in kept if FULL else kept[::4]:
        answer = submit(ana, digest, bucket_id="names", name=text, labels=json.dumps({text: text}))
        assert answer.status_code == 202, (text, answer.text)
        job = ana.get(answer.json()["status_url"]).json()
        assert (job["name"], job["labels"]) == (text, {text: text})
        found = ana.get("/v1/jobs", params={"label": f"{text}={text}"}).json() if "=" not in text else [job]
        assert [each["job_id"] for each in found] == [job["job_id"]]
        ana.post(f"/v1/jobs/{job['job_id']}/cancel")


@pytest.mark.parametrize("text", [*UNPRINTABLE, *SURROGATES, "", " ", "t" * 257], ids=short)
def test_tenants_and_users_that_no_token_may_name(site: Site, text: str) -> None:
    for who in ({"tenant": text}, {"user": text}):
        with pytest.raises(InvalidInput):
            site.token(**who)


def test_nothing_was_touched_outside_the_home(site: Site, ana: httpx.Client, digest: str) -> None:
    home = Path(site.settings.target.home_folder)
    job = submit(ana, digest, bucket_id="paths", name=CODE[1], labels=json.dumps({CODE[2]: PATHS[2]})).json()["job_id"]
    ana.post(f"/v1/jobs/{job}/cancel")
    assert sorted(path.name for path in home.parent.iterdir()) == ["home"]
    assert sorted(path.name for path in home.iterdir()) == ["blobs", "cluster", "home.json", "identity", "store.json"]
    assert not [path for path in home.rglob("*owned*") if path.is_file()]


def test_notices_survive_their_header() -> None:
    for text in ('say "hi"', "back\\slash", '\\"', "a" * 600, "job j-1 is left out: blob 'x' has 1 bytes"):
        [header] = write_notices([text])
        assert read_notice(header) == text
    [header] = write_notices(["line\r\nX-Evil: 1\u202e"])
    assert header.isprintable()
    assert header.isascii()
    assert len(write_notices(["x"] * 100)) == 21
    assert read_notice('199 other "misc"') is None
