"""Who gets in, and what one tenant sees of another: nothing."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.bundles import bundle, model_files
from support.site import Site, open_site

from livecalc.api.routes import ROUTES

GUARDED = [route for route in ROUTES if not route.public]
PUBLIC = [route for route in ROUTES if route.public]


def fill(path: str) -> str:
    return (
        path.replace("{namespace}", "livecalc-bucket-x")
        .replace("{job_id}", "j-01jdx4m8k3q7")
        .replace("{bucket_id}/{timestamp}", "x/20260101-000000")
        .replace("{path:path}", "pods.json")
        .replace("{model_bundle_hash}", "0" * 64)
    )


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_nothing_without_a_token(site: Site, route: object) -> None:
    assert isinstance(route, type(ROUTES[0]))
    answer = site.http.request(route.method, fill(route.path))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="livecalc"'
    assert answer.json()["detail"] == "this needs a token: send the header Authorization: Bearer TOKEN"


@pytest.mark.parametrize("route", PUBLIC, ids=lambda route: route.path)
def test_public_paths_need_none(site: Site, route: object) -> None:
    assert isinstance(route, type(ROUTES[0]))
    assert site.http.get(route.path).status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/docs/", "/healthz/x", "/%2e%2e/healthz", "//docs"])
def test_unknown_paths_need_one_too(site: Site, path: str) -> None:
    assert site.http.get(path).status_code == 401


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Token x", "Bearer x.y.z", "bearer é", "Bearer " + "x" * 20_000],
)
def test_bad_headers(site: Site, value: str) -> None:
    answer = site.http.get("/v1/jobs", headers=[(b"Authorization", value.encode())])
    assert answer.status_code == 401
    token = value.partition(" ")[2]
    assert not token or token not in answer.text
    challenge = answer.headers["www-authenticate"]
    assert ('error="invalid_token"' in challenge) == value.lower().startswith("bearer")


def test_two_headers_are_none(site: Site) -> None:
    good = f"Bearer {site.token()}"
    answer = site.http.get("/v1/jobs", headers=[("Authorization", good), ("Authorization", good)])
    assert answer.status_code == 401


def test_a_token_is_never_shown(site: Site) -> None:
    head, claims, _ = site.token().split(".")
    forged = f"{head}.{claims}.{'A' * 86}"
    answer = site.http.get("/v1/jobs", headers={"Authorization": f"Bearer {forged}"})
    assert answer.status_code == 401
    assert claims not in answer.text
    assert claims not in str(answer.headers)
    assert answer.json()["detail"] == "the token has a wrong signature"


def test_the_scheme_is_of_any_case(site: Site) -> None:
    answer = site.http.get("/v1/platform/status", headers={"Authorization": f"bEaReR {site.token(user='zoe')}"})
    assert answer.json()["user_id"] == "zoe"


def test_status_tells_who_asks(ana: httpx.Client) -> None:
    body = ana.get("/v1/platform/status").json()
    assert (body["tenant_id"], body["user_id"], body["cluster"]) == ("acme", "ana", "local")
    assert body["token_expires_at"].endswith("Z")
    assert body["versions"]["python"].startswith("3.")


def test_the_jwks_is_public_and_has_no_private_part(site: Site) -> None:
    answer = site.http.get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    [key] = answer.json()["keys"]
    assert key["kty"] == "EC"
    assert "d" not in key


def test_health_and_metrics(site: Site, ana: httpx.Client) -> None:
    assert site.http.get("/healthz").json()["status"] == "ok"
    assert site.http.get("/readyz").json()["checks"] == {"cluster": "ok", "blobs": "ok"}
    ana.get("/v1/jobs/j-01jdx4m8k3q7")
    ana.get("/v1/<nothing>")
    text = site.http.get("/metrics").text
    assert 'livecalc_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"}' in text
    assert 'livecalc_http_requests_total{method="*",route="other",status="404"}' in text
    assert "<nothing>" not in text
    assert "# TYPE livecalc_reaps_total counter" in text
    assert text.count("livecalc_archived_bytes_total counter") == 1


def test_every_answer_is_private_and_of_its_own_type(ana: httpx.Client, site: Site) -> None:
    for answer in (ana.get("/v1/jobs"), ana.get("/v1/nothing"), site.http.get("/docs")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_a_request_id_goes_through_to_the_audit(ana: httpx.Client) -> None:
    answer = ana.post(
        "/v1/platform/namespaces", params={"bucket_id": "traced"}, headers={"X-Request-ID": "ticket-4711"}
    )
    assert answer.headers["x-request-id"] == "ticket-4711"
    entries = ana.get("/v1/platform/audit", params={"limit": 10}).json()
    traced = [entry for entry in entries if entry["request_id"] == "ticket-4711"]
    assert [(entry["operation"], entry["phase"]) for entry in traced] == [
        ("create-namespace", "outcome"),
        ("create-namespace", "intent"),
    ]


def test_a_store_that_is_gone_is_not_ready(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_site(home) as site, site.caller() as caller:
        assert site.http.get("/readyz").status_code == 200
        caller.post("/v1/platform/namespaces", params={"bucket_id": "b1"})
        (home / "blobs").rename(home / "elsewhere")
        (home / "blobs").write_text("")
        answer = site.http.get("/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["detail"] == "not ready: blobs did not answer"
        assert site.http.get("/healthz").status_code == 200
        broken = caller.post("/v1/bundles", content=bundle(model_files()))
        assert (broken.status_code, broken.headers["retry-after"]) == (503, "5")
        (home / "blobs").unlink()
        (home / "elsewhere").rename(home / "blobs")
        assert site.http.get("/readyz").status_code == 200


def test_a_cluster_whose_database_is_damaged_is_not_ready(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with open_site(home) as site, site.caller() as caller:
        caller.post("/v1/platform/namespaces", params={"bucket_id": "b1"})
    # In another process: whoever opens the file where a cluster has it open drops SQLite's locks.
    damage = "import sys; f = open(sys.argv[1], 'r+b'); n = f.seek(0, 2); f.seek(4096); f.write(bytes(n - 4096))"
    subprocess.run([sys.executable, "-c", damage, next(home.rglob("cluster.db"))], check=True)
    with open_site(home) as site:
        answer = site.http.get("/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["detail"] == "not ready: cluster did not answer"
        assert site.http.get("/healthz").status_code == 200
