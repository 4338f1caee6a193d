"""What makes a namespace ours, and what its annotations mean when they are not as we wrote them."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.domain import namespaces as ns
from livecalc.domain.claims import Claim, read_claim, renewal, write_claim
from livecalc.domain.namespaces import (
    FINALIZER,
    NamespaceRecord,
    Status,
    belongs_to,
    is_ours,
    new_annotations,
    new_labels,
    why_not_ours,
)
from livecalc.domain.retention import Retention
from livecalc.domain.tenants import CLEANUP_USER, Principal

NOW = datetime(2026, 1, 25, 1, tzinfo=UTC)
ANA = Principal(tenant_id="Acme Ltd", user_id="ana")


def record(**changes: object) -> NamespaceRecord:
    fields: dict[str, object] = {
        "name": "livecalc-bucket-q4",
        "uid": "u",
        "resource_version": "1",
        "labels": new_labels("q4", ANA.tenant_id),
        "annotations": new_annotations(ANA.tenant_id, Retention.STANDARD, NOW),
        "created_at": NOW,
        **changes,
    }
    return NamespaceRecord(**fields)  # type: ignore[arg-type]


def test_a_new_namespace_is_ours_and_its_tenants() -> None:
    new = record()
    assert is_ours(new)
    assert belongs_to(new, ANA)
    assert not belongs_to(new, Principal(tenant_id="acme", user_id="ana"))
    assert not belongs_to(new, Principal(tenant_id=new.tenant_key, user_id="mallory"))
    assert (new.status, new.last_activity, new.retention) == (Status.ACTIVE, NOW, Retention.STANDARD)


@pytest.mark.parametrize("key", sorted(new_labels("q4", "acme")))
def test_without_one_of_the_five_labels_it_is_not_ours(key: str) -> None:
    labels = new_labels("q4", ANA.tenant_id)
    assert not is_ours(record(labels={name: value for name, value in labels.items() if name != key}))
    assert not is_ours(record(labels={**labels, key: "other"}))


def test_a_hashed_key_without_the_claim_it_was_made_of_is_nobodys() -> None:
    """Its archive and audit could not be put where its tenant finds them."""
    annotations = {key: value for key, value in record().annotations.items() if key != ns.TENANT_ID}
    assert why_not_ours(record(annotations=annotations)) == "its tenant-id annotation and label do not fit"
    plain = record(annotations=annotations, labels=new_labels("q4", "acme"))
    assert is_ours(plain)
    assert plain.tenant_id == "acme"


@pytest.mark.parametrize(("text", "status"), [("active", Status.ACTIVE), ("", None), ("ACTIVE", None), ("x", None)])
def test_a_status_is_one_of_three_or_unknown(text: str, status: Status | None) -> None:
    assert record(annotations={ns.STATUS: text}).status is status


def test_a_retention_that_is_not_understood_is_the_longer_one() -> None:
    assert record(annotations={ns.RETENTION: "for ever"}).retention is Retention.REGULATORY
    assert record(annotations={}).retention is Retention.STANDARD


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.text(min_size=1), st.text(), st.text(min_size=1), st.text(min_size=1), st.lists(NAMES, unique=True))
def test_a_claim_is_read_as_it_was_written(
    holder: str, reason: str, user_id: str, request_id: str, volumes: list[str]
) -> None:
    claim = Claim(
        holder=holder,
        reason=reason,
        user_id=user_id,
        request_id=request_id,
        started_at=NOW - timedelta(minutes=1),
        renewed=("", ""),
        archive="q4/20260125-010000",
        volumes=tuple(sorted(volumes)),
    )
    notes = write_claim(claim, NOW)
    read = read_claim(record(annotations=notes))
    assert read is not None
    assert read.renewed == ("2026-01-25T01:00:00Z", "0")
    assert msgspec.structs.replace(read, renewed=("", "")) == claim
    again = read_claim(record(annotations={**notes, **renewal(read, NOW)}))
    assert again is not None
    assert again.renewed != read.renewed


def test_what_is_missing_of_a_claim_does_not_hide_it() -> None:
    assert read_claim(record()) is None
    for changes in ({"annotations": {ns.STATUS: "reaping"}}, {"finalizers": (FINALIZER,)}):
        claim = read_claim(record(**changes))
        assert claim is not None
        assert (claim.holder, claim.user_id, claim.request_id) == ("", CLEANUP_USER, "reap-u")
        assert (claim.started_at, claim.archive, claim.volumes) == (None, "", ())
