"""Bundles over HTTP: stored once, found by their first digits, refused with the reason."""

import hashlib

import httpx
import pytest
from support.bundles import bundle, model_files
from support.site import Site


def test_push_is_201_then_200(ana: httpx.Client, eve: httpx.Client) -> None:
    data = bundle(model_files(extra={"inputs/a.csv": b"x\n1\n"}))
    digest = hashlib.sha256(data).hexdigest()
    first = ana.post("/v1/bundles", content=iter([data[:100], data[100:]]))
    second = ana.post("/v1/bundles", content=data)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == {"model_bundle_hash": digest, "size": len(data)}
    assert ana.get(f"/v1/bundles/{digest[:8]}").json()["model_bundle_hash"] == digest
    assert eve.get(f"/v1/bundles/{digest}").status_code == 404
    assert eve.post("/v1/bundles", content=data).status_code == 201


def test_what_is_no_bundle(ana: httpx.Client) -> None:
    answer = ana.post("/v1/bundles", content=b"not a zip")
    assert answer.status_code == 422
    assert "livecalc-scratch" not in answer.text
    files = model_files()
    files["model.py"] = b"def draw(): pass"
    broken = ana.post("/v1/bundles", content=bundle(files))
    assert broken.status_code == 422
    assert "/tmp" not in broken.text  # noqa: S108  (the point: the server's folders are its own)


def test_hashes_that_are_none(ana: httpx.Client) -> None:
    for bad in ("xyz", "0" * 7, "G" * 64, "0" * 65):
        assert ana.get(f"/v1/bundles/{bad}").status_code == 422
    assert ana.get(f"/v1/bundles/{'0' * 64}").status_code == 404


def test_pushes_are_audited(ana: httpx.Client) -> None:
    data = bundle(model_files(extra={"inputs/b.csv": b"x\n2\n"}))
    answer = ana.post("/v1/bundles", content=data)
    entries = ana.get("/v1/platform/audit", params={"limit": 2}).json()
    assert [entry["operation"] for entry in entries] == ["push-bundle", "push-bundle"]
    assert entries[0]["detail"]["model_bundle_hash"] == answer.json()["model_bundle_hash"]


def test_the_audit_record_holds(ana: httpx.Client, eve: httpx.Client) -> None:
    found = ana.get("/v1/platform/audit/verify").json()
    assert found["holds"], found
    entries = ana.get("/v1/platform/audit", params={"limit": 10_000}).json()
    assert [entry["sequence"] for entry in entries] == list(range(found["records"], 0, -1))
    assert {entry["tenant_id"] for entry in entries} == {"acme"}
    assert all(entry["tenant_id"] == "evil" for entry in eve.get("/v1/platform/audit").json())
    since = ana.get("/v1/platform/audit", params={"since": "2999-01-01T00:00:00Z"}).json()
    assert since == []


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("retention", "regulatory", "retention=regulatory cannot be had here: "),
        ("name", "bell\a", "name 'bell\\x07' is not valid"),
    ],
)
def test_a_submit_that_no_bundle_could_save_stores_none(site: Site, field: str, value: str, why: str) -> None:
    data = bundle(model_files())
    form = [("bucket_id", (None, "b1")), (field, (None, value)), ("bundle", ("x.zip", data, "application/zip"))]
    with site.caller(tenant=f"hopeless-{field}") as caller:
        answer = caller.post("/v1/jobs/submit", files=form)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(why)
        assert caller.get(f"/v1/bundles/{hashlib.sha256(data).hexdigest()}").status_code == 404
        operations = {entry["operation"] for entry in caller.get("/v1/platform/audit").json()}
    # A promise that cannot be kept is on the record; a slip of the pen is not.
    assert operations == ({"create-namespace"} if field == "retention" else set())
