"""Settings: what the environment says, what it may not say, and that the docs know each."""

import re
from pathlib import Path

import pytest

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
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load({name: value})
    assert caught.value.detail.startswith(f"{name}={value!r} is not valid: ")
    assert "\n" not in caught.value.detail


def test_the_docs_have_each_variable_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`", DOCS.read_text(), flags=re.MULTILINE))
    assert documented == variables()
