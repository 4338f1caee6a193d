"""The schema of manifests: that of the Struct, but stricter; and our check by it says what a library's says."""

import copy
import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from lifecycle.stage import Stage

from livecalc.domain.errors import Damaged
from livecalc.lifecycle.archive.manifest import FORMAT, SCHEMA, Manifest, decode_manifest
from livecalc.lifecycle.archive.schema import manifest_schema, schema_differences

DIGEST = "3fa0b1c2" * 8
SAMPLE: dict[str, Any] = {
    "schema": SCHEMA,
    "format": FORMAT,
    "state": "PartiallyComplete",
    "bucket_id": "q4-2025",
    "timestamp": "20260126-010504-2",
    "namespace": "livecalc-bucket-q4-2025",
    "namespace_uid": "u-1",
    "tenant_id": "Ünal & Söhne",
    "reason": "finalized",
    "reaped_by": "system:cleanup-worker",
    "holder": "worker-1",
    "request_id": "r-1",
    "namespace_created_at": "2026-01-25T00:00:00Z",
    "claimed_at": "2026-01-26T01:05:04Z",
    "archived_at": "2026-01-26T01:05:11Z",
    "retention": "standard",
    "retain_until": "2026-02-25T01:05:04Z",
    "pods": [
        {
            "name": "worker-1",
            "uid": "p-1",
            "phase": "Failed",
            "node": "",
            "job_id": None,
            "index": 0,
            "containers": [
                {
                    "name": "main",
                    "kind": "main",
                    "previous": False,
                    "state": "truncated",
                    "blob": "logs/worker-1.log",
                    "bytes": 12,
                    "sha256": DIGEST,
                    "source": "node",
                    "note": "rotated",
                    "exit_code": 137,
                }
            ],
        }
    ],
    "blobs": [{"name": "logs/worker-1.log", "bytes": 12, "sha256": DIGEST}],
    "violations": 0,
    "jobs": [
        {
            "job_id": "j-1",
            "state": "failed",
            "result_hash": None,
            "records": "jobs/j-1.json",
            "model_bundle_hash": DIGEST,
            "image": None,
            "versions": {"numpy": "2.1"},
        }
    ],
    "audit_head": f"7:{DIGEST}",
    "versions": {"livecalc": "0.1.0"},
    "supersedes": "q4-2025/20260126-010504",
    "supersedes_sha256": DIGEST,
    "notes": ["events could not be listed"],
}
MORE = ("$schema", "$id", "$defs", "additionalProperties", "const", "enum", "pattern", "minimum", "description")
DAMAGE: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("format",), 2, "format is 2 instead of 1"),
    (("format",), True, "format is true, and no integer"),
    (("schema",), "urn:x", 'schema is "urn:x" instead of'),
    (("state",), "Fine", 'state is "Fine", and none of "Complete", "PartiallyComplete", "Waived"'),
    (("tenant_id",), None, "tenant_id is null, and no string"),
    (("retain_until",), "soon", 'retain_until is "soon", which does not fit'),
    (("bucket_id",), "Q4", "bucket_id is"),
    (("retention",), "for ever", "retention is"),
    (("violations",), -1, "violations is -1, which is below 0"),
    (("audit_head",), DIGEST, "audit_head is"),
    (("pods",), {}, "pods is {}, and no array"),
    (("pods", 0, "containers", 0, "state"), "whole", 'pods/0/containers/0/state is "whole", and none of'),
    (("pods", 0, "containers", 0, "sha256"), "abc", "pods/0/containers/0/sha256 is"),
    (("blobs", 0, "bytes"), 1.5, "blobs/0/bytes is 1.5, and no integer"),
    (("blobs", 0, "more"), 1, "blobs/0/more is not known to this format"),
    (("versions", "livecalc"), 1, "versions/livecalc is 1, and no string"),
    (("forged",), "x", "forged is not known to this format"),
]


def library_says(document: Any) -> bool:
    validator: Any = Draft202012Validator(manifest_schema())
    return bool(validator.is_valid(document))


def damaged(path: tuple[str | int, ...], value: Any) -> Any:
    document: Any = copy.deepcopy(SAMPLE)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return root["$defs"][name] if name else schema


def assert_refines(ours: dict[str, Any], made: dict[str, Any], root: dict[str, Any], at: str) -> None:
    """All that msgspec makes of the types is in our schema, which may only ask for more."""
    ours, made = resolved(ours, manifest_schema()), resolved(made, root)
    assert set(ours) <= {*made, *MORE}, at
    for keyword, value in made.items():
        if keyword == "properties":
            assert ours[keyword].keys() == value.keys(), at
            for name in value:
                assert_refines(ours[keyword][name], value[name], root, f"{at}/{name}")
        elif keyword == "anyOf":
            for one, other in zip(ours[keyword], value, strict=True):
                assert_refines(one, other, root, at)
        elif keyword in {"items", "additionalProperties"}:
            assert_refines(ours[keyword], value, root, f"{at}/*")
        elif keyword == "type" and "enum" in ours:
            assert all(isinstance(each, str) for each in ours["enum"])
        elif keyword not in {"title", "description"}:
            assert ours[keyword] == value, f"{at} {keyword}"


def test_the_schema_is_one() -> None:
    schema = manifest_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["properties"]["format"]["const"] == FORMAT == int(SCHEMA.rpartition(":")[2])


def test_the_schema_is_that_of_the_struct() -> None:
    made = msgspec.json.schema(Manifest)
    assert_refines(manifest_schema(), made, made, "")
    names = {name for name in made["$defs"] if name != "Manifest"}
    assert manifest_schema()["$defs"].keys() == names
    for each in (manifest_schema(), *manifest_schema()["$defs"].values()):
        assert each["additionalProperties"] is False
        assert set(each["required"]) <= set(each["properties"])


def test_the_sample_has_every_field() -> None:
    assert SAMPLE.keys() == manifest_schema()["properties"].keys()
    assert msgspec.to_builtins(msgspec.convert(SAMPLE, Manifest)) == SAMPLE
    assert library_says(SAMPLE)
    assert schema_differences(SAMPLE) == []


@pytest.mark.parametrize(("path", "value", "said"), DAMAGE, ids=lambda each: str(each)[:40])
def test_damage_is_named(path: tuple[str | int, ...], value: Any, said: str) -> None:
    document = damaged(path, value)
    assert schema_differences(document)[0].startswith(said)
    assert not library_says(document)


@pytest.mark.parametrize("name", sorted(manifest_schema()["required"]))
def test_what_is_missing_is_named(name: str) -> None:
    document = {key: value for key, value in SAMPLE.items() if key != name}
    assert schema_differences(document) == [f"{name} is missing"]
    assert not library_says(document)


@pytest.mark.parametrize("document", [None, [], "x", 1, {}])
def test_what_is_no_manifest_at_all_differs(document: Any) -> None:
    assert schema_differences(document)
    assert not library_says(document)


def _places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner: list[tuple[str | int, ...]] = []
    if isinstance(value, dict):
        inner = [place for key, each in value.items() for place in _places(each, (*at, key))]  # type: ignore[misc]
    elif isinstance(value, list):
        inner = [place for index, each in enumerate(value) for place in _places(each, (*at, index))]  # type: ignore[misc]
    return [at, *inner] if at else inner


@given(
    st.sampled_from(_places(SAMPLE)),
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 2), st.floats(-2, 2), st.just([]), st.just({}), st.just(DIGEST),
        st.text(max_size=3), st.sampled_from(["2026-01-25T00:00:00Z", "Complete", "main", "complete", "logs/x", "1:0"]),
    ),
)  # fmt: skip
def test_whatever_is_changed_the_library_says_the_same(path: tuple[str | int, ...], value: Any) -> None:
    assume(not str(value).endswith("\n"))  # which the library lets follow whatever a pattern ends with
    document = damaged(path, value)
    assert (schema_differences(document) == []) == library_says(document)


@pytest.mark.parametrize("name", ["bucket_id", "timestamp", "namespace", "retain_until", "audit_head", "supersedes"])
def test_a_newline_behind_a_text_differs(name: str) -> None:
    assert schema_differences(damaged((name,), SAMPLE[name] + "\n"))[0].startswith(f"{name} is ")


def test_a_value_that_is_nested_too_deeply_differs_too() -> None:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    assert schema_differences(SAMPLE | {"state": nested})[0].startswith("state is ")


def test_a_manifest_of_a_format_before_is_read() -> None:
    for said in ({"format": 0, "schema": "urn:livecalc:archive-manifest:0"}, {"format": 0}, {}):
        old = {key: value for key, value in SAMPLE.items() if key not in {"format", "schema"}} | said
        manifest = decode_manifest(msgspec.json.encode(old), "q4/x")
        assert manifest.bucket_id == "q4-2025"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            {"format": 2, "schema": "urn:livecalc:archive-manifest:2", "state": {"is": "new"}},
            "its format is 2, and this livecalc reads 1 and those before: use the version that wrote it",
        ),
        ({"schema": "urn:livecalc:archive-manifest:2"}, "it names schema 'urn:livecalc:archive-manifest:2', which is"),
        ({"format": "1"}, "Expected `int`, got `str` - at `$.format`"),
        ({"state": None}, "Expected `str`, got `null` - at `$.state`"),
    ],
)
def test_a_manifest_of_another_format_is_refused(said: dict[str, Any], why: str) -> None:
    with pytest.raises(Damaged, match=f"^the manifest of archive q4/x cannot be read: {re.escape(why)}"):
        decode_manifest(msgspec.json.encode(SAMPLE | said), "q4/x")


@pytest.mark.anyio
async def test_real_manifests_are_as_the_schema_asks(stage: Stage) -> None:
    record = await stage.finalized("q4")
    await stage.job(record, "j-apex00000000", "echo words")
    await stage.ended(record.name)
    await stage.pod(record.name, "worker-1", "echo one two three; exit 3")
    await stage.finalized("q5")
    assert (await stage.reaper().sweep()).successful == 2
    for bucket in ("q4", "q5"):
        archive = f"{bucket}/{(await stage.manifest(bucket)).timestamp}"
        document = await stage.json(f"{archive}/manifest.json")
        assert schema_differences(document) == []
        assert library_says(document)
