"""Legal holds over HTTP: statuses, and that another tenant's are not there."""

import httpx

PATH = "/v1/platform/retention/holds"


def hold(caller: httpx.Client, bucket_id: str, **more: str) -> httpx.Response:
    return caller.post(PATH, json={"bucket_id": bucket_id, "reason": "audit 2026-17", **more})


def bucket(caller: httpx.Client, bucket_id: str) -> None:
    assert caller.post("/v1/platform/namespaces", params={"bucket_id": bucket_id}).status_code == 201


def test_a_hold_is_made_once_listed_and_released(ana: httpx.Client) -> None:
    bucket(ana, "kept")
    first, second = hold(ana, "kept"), hold(ana, "kept")
    assert (first.status_code, second.status_code) == (201, 409)
    assert set(first.json()) == {"bucket_id", "timestamp", "reason", "held_by", "held_at"}
    assert (first.json()["timestamp"], first.json()["reason"]) == (None, "audit 2026-17")
    assert first.json() in ana.get(PATH).json()
    released = ana.delete(PATH, params={"bucket_id": "kept"})
    assert (released.status_code, released.json()) == (200, first.json())
    assert ana.delete(PATH, params={"bucket_id": "kept"}).status_code == 404
    assert first.json() not in ana.get(PATH).json()
    records = [each["operation"] for each in ana.get("/v1/platform/audit").json()]
    assert records[:3] == ["retention-release", "retention-release", "retention-hold"]


def test_what_is_not_there_or_not_said_is_not_held(ana: httpx.Client) -> None:
    bucket(ana, "there")
    assert hold(ana, "absent").status_code == 404
    assert hold(ana, "there", timestamp="20260126-010504").status_code == 404
    assert hold(ana, "there", timestamp="yesterday").status_code == 422
    assert hold(ana, "there", until="2030").status_code == 422
    assert hold(ana, "There").status_code == 422
    assert ana.post(PATH, json={"bucket_id": "there"}).status_code == 422
    assert ana.post(PATH, content=b'{"x":' + b"[" * 5000).status_code == 422
    assert ana.delete(PATH).status_code == 422
    allowed = ana.put(PATH)
    assert (allowed.status_code, set(allowed.headers["Allow"].split(", "))) == (405, {"GET", "HEAD", "POST", "DELETE"})


def test_another_tenant_learns_nothing(ana: httpx.Client, eve: httpx.Client) -> None:
    bucket(ana, "secret-hold")
    assert hold(ana, "secret-hold").status_code == 201
    assert eve.get(PATH).json() == []
    assert hold(eve, "secret-hold").json()["detail"] == "there is no bucket secret-hold"
    answer = eve.delete(PATH, params={"bucket_id": "secret-hold"})
    assert (answer.status_code, "there is no hold on bucket secret-hold" in answer.json()["detail"]) == (404, True)
    assert [each["bucket_id"] for each in ana.get(PATH).json()].count("secret-hold") == 1
