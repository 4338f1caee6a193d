"""Namespaces over HTTP: statuses, pages, and that another tenant's are not there."""

import httpx

PATH = "/v1/platform/namespaces"


def create(caller: httpx.Client, bucket_id: str, **more: str) -> httpx.Response:
    return caller.post(PATH, params={"bucket_id": bucket_id, **more})


def test_create_is_201_then_200(ana: httpx.Client) -> None:
    first, second = create(ana, "twice"), create(ana, "twice")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert set(first.json()) == {"namespace", "bucket_id", "created_at"}
    assert first.json()["namespace"] == "livecalc-bucket-twice"


def test_ids_are_refused_never_bent(ana: httpx.Client) -> None:
    for bad in ("Upper", " a", "a ", "-a", "a-", "a_b", "a.b", "", "x" * 48, "mttc-1", "ä", "a\n", "../etc"):
        answer = create(ana, bad)
        assert answer.status_code == 422, bad
        assert "bucket id" in answer.json()["detail"]


def test_another_tenant_learns_nothing(ana: httpx.Client, eve: httpx.Client) -> None:
    create(ana, "secret")
    path = f"{PATH}/livecalc-bucket-secret"
    assert ana.get(path).status_code == 200
    unknown = f"{PATH}/livecalc-bucket-unknown"
    for method, suffix, params in (
        ("GET", "", {}),
        ("POST", "/finalize", {}),
        ("POST", "/reap", {"bucket_id": "secret"}),
    ):
        answer = eve.request(method, path + suffix, params=params)
        other = eve.request(method, unknown + suffix, params={"bucket_id": "unknown"} if params else {})
        assert answer.status_code == other.status_code == 404
        assert answer.json()["detail"].replace("secret", "unknown") == other.json()["detail"]
    assert "livecalc-bucket-secret" not in eve.get(PATH).text
    taken = create(eve, "secret")
    assert (taken.status_code, taken.json()["detail"]) == (409, "bucket id not available")
    create(ana, "secret")
    ana.post(path + "/finalize")
    assert create(eve, "secret").json()["detail"] == "bucket id not available"
    own = create(ana, "secret")
    assert own.status_code == 409
    assert "finalized" in own.json()["detail"]


def test_pages(ana: httpx.Client) -> None:
    names = [f"livecalc-bucket-page-{number}" for number in range(5)]
    for number in range(5):
        create(ana, f"page-{number}")
    found: list[str] = []
    url = f"{PATH}?limit=2&after=livecalc-bucket-page"
    pages = 0
    while url:
        answer = ana.get(url)
        found += [each["namespace"] for each in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
        pages += 1
        assert pages < 100
    assert [name for name in found if name in names] == names
    assert len(found) == len(set(found))


def test_a_last_page_has_no_link(ana: httpx.Client) -> None:
    answer = ana.get(PATH, params={"limit": 1000})
    assert "link" not in answer.headers


def test_finalize_and_reap(ana: httpx.Client) -> None:
    create(ana, "short-life")
    path = f"{PATH}/livecalc-bucket-short-life"
    assert ana.post(path + "/finalize").json()["status"] == "finalized"
    assert ana.post(path + "/finalize").status_code == 200
    mismatch = ana.post(path + "/reap", params={"bucket_id": "other"})
    assert mismatch.status_code == 422
    reaped = ana.post(path + "/reap", params={"bucket_id": "short-life"}).json()
    assert reaped["success"], reaped["message"]
    assert reaped["message"] == "Namespace livecalc-bucket-short-life successfully reaped"
    assert ana.get(path).status_code == 404
    [archive] = ana.get("/v1/platform/diagnostics", params={"bucket_id": "short-life"}).json()
    assert archive["state"] == "Complete"


def test_archives_and_their_blobs(ana: httpx.Client, eve: httpx.Client) -> None:
    create(ana, "kept")
    paths = ana.post(f"{PATH}/livecalc-bucket-kept/reap", params={"bucket_id": "kept"}).json()["diagnostics"][
        "blob_paths"
    ]
    [archive] = ana.get("/v1/platform/diagnostics", params={"bucket_id": "kept"}).json()
    base = f"/v1/platform/diagnostics/kept/{archive['timestamp']}"
    assert ana.get(f"{base}/verify").json()["holds"]
    manifest = ana.get(base)
    assert manifest.json()["bucket_id"] == "kept"
    assert manifest.content == ana.get(f"{base}/manifest.json").content
    assert len(paths) >= 4
    for path in paths:
        url = f"/v1/platform/diagnostics/{path}"
        whole = ana.get(url)
        assert whole.status_code == 200
        assert int(whole.headers["content-length"]) == len(whole.content)
        assert eve.get(url).status_code == 404
    assert eve.get(base).status_code == 404
    assert eve.get("/v1/platform/diagnostics", params={"bucket_id": "kept"}).json() == []


def test_ranges_and_etags_of_a_blob(ana: httpx.Client) -> None:
    create(ana, "ranged")
    ana.post(f"{PATH}/livecalc-bucket-ranged/reap", params={"bucket_id": "ranged"})
    [archive] = ana.get("/v1/platform/diagnostics", params={"bucket_id": "ranged"}).json()
    url = f"/v1/platform/diagnostics/ranged/{archive['timestamp']}/events.json"
    whole = ana.get(url)
    etag, size = whole.headers["etag"], len(whole.content)
    assert whole.headers["content-type"] == "application/json"
    part = ana.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, whole.content[1:4])
    assert part.headers["content-range"] == f"bytes 1-{min(3, size - 1)}/{size}"
    assert ana.get(url, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert ana.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert ana.get(url, headers={"Range": "bytes=1-3", "If-Range": etag}).status_code == 206
    assert ana.get(url, headers={"Range": "bytes=1-3", "If-Range": '"other"'}).status_code == 200
    head = ana.head(url)
    assert (head.headers["content-length"], head.content) == (str(size), b"")


def test_blob_names_that_climb(ana: httpx.Client) -> None:
    for path in ("..%2f..%2fetc%2fpasswd", "%2e%2e/x", "a%00b", "a//b", "%5c"):
        answer = ana.get(f"/v1/platform/diagnostics/kept/20260101-000000/{path}")
        assert answer.status_code in {404, 422}, path
