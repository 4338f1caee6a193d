"""Settings: what the environment says, what it may not say, and that the docs know each."""

import re
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from livecalc.domain.errors import InvalidInput
from livecalc.settings import Settings, load

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def variables() -> set[str]:
    topics = (getattr(Settings(), name) for name in Settings.__struct_fields__)
    return {name for topic in topics for name in topic.__struct_encode_fields__}


def test_nothing_set_gives_the_documented_defaults() -> None:
    settings = load({})
    assert settings == Settings()
    assert settings.lifecycle.inactivity_hours == 24
    assert settings.store.diagnostics == "diagnostics"


def test_an_empty_variable_counts_as_unset() -> None:
    assert load({"MAX_REAPS": "", "LIVECALC_URL": "  "}) == Settings()


def test_values_are_read_by_their_type() -> None:
    settings = load({"INACTIVITY_THRESHOLD_HOURS": "0.25", "MAX_REAPS": "3", "ARCHIVE_POLICY": "required"})
    assert settings.lifecycle.inactivity_hours == 0.25
    assert settings.lifecycle.max_reaps == 3
    assert settings.lifecycle.archive_policy == "required"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INACTIVITY_THRESHOLD_HOURS", "a day"),
        ("INACTIVITY_THRESHOLD_HOURS", "-1"),
        ("INACTIVITY_THRESHOLD_HOURS", "nan"),
        ("INACTIVITY_THRESHOLD_HOURS", "inf"),
        ("MAX_REAPS", "0"),
        ("MAX_REAPS", "1.5"),
        ("ARCHIVE_POLICY", "none"),
        ("LIVECALC_CLUSTER", "docker"),
        ("DIAGNOSTIC_CONTAINER_NAME", "a" * 23),
        ("DIAGNOSTIC_CONTAINER_NAME", "a--b"),
        ("LOG_FORMAT", "xml"),
        ("BUNDLE_LIMIT_MIB", "lots"),
        ("MTTC_TARGET_SECONDS", "inf"),
        ("MTTC_TARGET_SECONDS", "nan"),
        ("WORKER_EGRESS_CIDRS", "10.0.0.0/8,everywhere"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load({name: value})
    assert caught.value.detail.startswith(f"{name}={value!r} is not valid: ")
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("LIVECALC_CLUSTER", "docker", "use one of kubernetes, local"),
        ("MAX_REAPS", "0", "use a whole number, at least 1"),
        ("INACTIVITY_THRESHOLD_HOURS", "9000", "use a number of hours above 0, at most 8784 (366 days)"),
        ("MTTC_TARGET_SECONDS", "inf", "use a number of seconds above 0, at most 86400 (a day)"),
        ("DIAGNOSTIC_CONTAINER_NAME", "Logs", "use 3 to 22 of a-z, 0-9 and single '-'"),
        ("WORKER_EGRESS_CIDRS", "10.0.0.0/8,10.0.0.1/8", "'10.0.0.1/8' is no network"),
        ("WORKER_EGRESS_CIDRS", "10.0.0.1", "'10.0.0.1' is no network"),
    ],
)
def test_a_wrong_value_says_what_is_allowed(name: str, value: str, wanted: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load({name: value})
    assert wanted in caught.value.detail
    assert "`" not in caught.value.detail


@pytest.mark.parametrize("purpose", ["audit", "bundles", "results", "regulatory"])
@pytest.mark.parametrize("rest", ["", "-", "-acme"])
def test_archives_do_not_go_where_something_else_is_kept(purpose: str, rest: str) -> None:
    with pytest.raises(InvalidInput, match="not audit, bundles, results or regulatory"):
        load({"DIAGNOSTIC_CONTAINER_NAME": purpose + rest})
    assert load({"DIAGNOSTIC_CONTAINER_NAME": f"{purpose}logs"}).store.diagnostics == f"{purpose}logs"


def test_a_container_name_ends_where_its_line_does() -> None:
    with pytest.raises(InvalidInput):
        load({"DIAGNOSTIC_CONTAINER_NAME": "diagnostics\n"})


def test_settings_show_themselves_without_their_secrets() -> None:
    names = ["AZURE_BLOB_CONNECTION_STRING", "AZURE_BLOB_ACCOUNT_URL", "LIVECALC_TOKEN", "LIVECALC_TOKEN_COMMAND"]
    settings = load({name: f"secret of {name}" for name in names} | {"LIVECALC_URL": "https://me:secret@example.com"})
    for shown in (repr(settings), f"{settings.store} {settings.target}", pretty_repr(settings)):
        assert "secret" not in shown
        assert "connection_string='(hidden)'" in shown
        assert "diagnostics='diagnostics'" in shown
        assert "token_file=None" in shown
    assert settings.store.connection_string == "secret of AZURE_BLOB_CONNECTION_STRING"


def test_networks_are_read_in_order() -> None:
    jobs = load({"WORKER_EGRESS_CIDRS": "10.0.0.0/8, 2001:db8::/32"}).jobs
    assert [str(network) for network in jobs.egress_networks] == ["10.0.0.0/8", "2001:db8::/32"]
    assert Settings().jobs.egress_networks == ()


def test_the_docs_have_each_variable_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`", DOCS.read_text(), flags=re.MULTILINE))
    assert documented == variables()
