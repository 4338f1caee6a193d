"""Tenant keys: DNS labels for labels and containers, and no two tenants share one."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecalc.blobs.names import check_container
from livecalc.domain.tenants import Principal, tenant_key

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?", fullmatch=True)
TENANTS = st.one_of(st.text(max_size=60), LABELS, LABELS.map("x-{}".format))


@given(TENANTS, TENANTS)
def test_two_tenants_never_share_a_key(one: str, other: str) -> None:
    assert (tenant_key(one) == tenant_key(other)) == (one == other)


@given(TENANTS)
def test_a_key_is_never_the_key_of_itself_unless_it_is_plain(tenant_id: str) -> None:
    """Nobody can call himself by another's hashed key."""
    key = tenant_key(tenant_id)
    if key != tenant_id:
        assert tenant_key(key) != key


@given(TENANTS)
def test_every_key_fits_labels_and_containers(tenant_id: str) -> None:
    key = tenant_key(tenant_id)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", key)
    for prefix in ("diagnostics-0123456789", "bundles", "results", "audit", "regulatory"):
        check_container(f"{prefix}-{key}")


@pytest.mark.parametrize("tenant_id", ["acme", "a" * 40, "1", "a-b-c", "x", "xx-1"])
def test_plain_ids_are_their_own_key(tenant_id: str) -> None:
    assert tenant_key(tenant_id) == tenant_id


def test_a_hashed_key_is_a_public_format() -> None:
    """`printf ACME | sha256sum`, its first 38 digits."""
    assert tenant_key("ACME") == "x-" + hashlib.sha256(b"ACME").hexdigest()[:38]


@pytest.mark.parametrize(
    "tenant_id", ["", "a" * 41, "a--b", "-a", "a-", "x-1", "a.b", "a_b", "é", "A", "\ud800", "a\n"]
)
def test_all_others_are_hashed(tenant_id: str) -> None:
    assert re.fullmatch(r"x-[0-9a-f]{38}", tenant_key(tenant_id))


def test_a_principal_has_its_tenants_key() -> None:
    assert Principal(tenant_id="A b", user_id="u").tenant_key == tenant_key("A b")
