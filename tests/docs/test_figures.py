"""The figures in the docs are the code's."""

import re
from pathlib import Path

import pytest
from docs.pages import DOCS

from livecalc.api.serve import SWEEP_SECONDS
from livecalc.blobs.directory import tree
from livecalc.cluster.local.settings import NodeSettings
from livecalc.domain import buckets, jobs, retention
from livecalc.domain.namespaces import FINALIZER, new_labels
from livecalc.domain.timestamps import parse_timestamp
from livecalc.jobs.launch import WorkerSpec
from livecalc.lifecycle.activity import HEARTBEAT_EVERY
from livecalc.lifecycle.plan import CLOCK_TOLERANCE
from livecalc.lifecycle.policy import ReaperPolicy
from livecalc.settings import Settings

NODE = NodeSettings()
POLICY = ReaperPolicy()
RETRIES = WorkerSpec(image="", command=(), limits={}, memory=0).retries


def said(page: str) -> str:
    return re.sub(r"\s+", " ", (DOCS / page).read_text("utf-8"))


def minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("concepts.md", f"more than {minutes(CLOCK_TOLERANCE.total_seconds())} ahead"),
        ("concepts.md", f"more than {minutes(CLOCK_TOLERANCE.total_seconds())} off"),
        ("concepts.md", f"at most once in {minutes(HEARTBEAT_EVERY.total_seconds())} by heartbeats"),
        ("concepts.md", f"a deadline, {Settings().jobs.deadline_hours:g} hours unless set otherwise"),
        ("concepts.md", f"tried again, up to {RETRIES} times"),
        ("concepts.md", f"`MTTC_TARGET_SECONDS` ({Settings().jobs.mttc_target:g})"),
        ("concepts.md", f"`{buckets.NAMESPACE_PREFIX}{{bucket_id}}`"),
        ("concepts.md", f"begin with `{buckets.RECOMPUTE_PREFIX}`"),
        ("concepts.md", f"exit {jobs.EXIT_OK} (done), {jobs.EXIT_MODEL} (the model failed), {jobs.EXIT_VIOLATION}"),
        ("concepts.md", f"or {jobs.EXIT_BUNDLE} (a bad bundle)"),
        ("architecture.md", f"sees the claim unchanged for {POLICY.claim_timeout:g} s"),
        ("architecture.md", f"renews its claim every {POLICY.renew_every:g} s"),
        ("architecture.md", f"finalizer `{FINALIZER}`"),
        (
            "architecture.md",
            ", ".join(f"`blobs/{name}/`" for name in (tree.META, tree.TEMPORARY, tree.LOCKS, tree.KEYS)),
        ),
        ("local-cluster.md", f"nothing to do for {NODE.linger_seconds:g} seconds"),
        ("local-cluster.md", f"SIGTERM; SIGKILL after {NODE.grace_seconds:g} s"),
        ("local-cluster.md", f"{RETRIES} for each partition, after {NODE.backoff_seconds:g} s, doubled each time"),
        ("local-cluster.md", f"rotated at {NODE.log_bytes >> 20} MiB, {NODE.log_files} files kept"),
        ("local-cluster.md", f"sweeps at its start and every {minutes(SWEEP_SECONDS)}"),
        ("tutorial.md", f"sweeps at its start and every {minutes(SWEEP_SECONDS)}"),
    ],
)
def test_a_figure_is_the_codes(page: str, words: str) -> None:
    assert words in said(page)


def test_the_labels_of_a_namespace_are_named() -> None:
    sentence = said("concepts.md").partition("All five labels must be there (")[2].partition(")")[0]
    assert {name.strip("` ") for name in sentence.split(",")} == set(new_labels("b", "t"))


def test_the_retention_classes_last_as_long_as_they_are_said_to() -> None:
    archived = parse_timestamp("2026-01-25T01:00:00Z")
    assert archived is not None
    standard, regulatory = (retention.retain_until(each, archived) for each in retention.Retention)
    assert f"`standard` | {(standard - archived).days} days from archiving" in said("concepts.md")
    assert regulatory == archived.replace(year=archived.year + 7)
    assert "`regulatory` | 7 years from archiving" in said("concepts.md")


def test_a_bucket_id_is_as_long_as_it_is_said_to_be() -> None:
    longest = max(length for length in range(1, 80) if buckets.is_bucket_id("a" * length))
    assert f"has 1 to {longest} of" in said("concepts.md")


def test_the_default_policy_is_the_one_that_is_said() -> None:
    assert f"`{Settings().lifecycle.archive_policy}` (default)" in said("concepts.md")


def test_this_test_reads_the_docs() -> None:
    assert Path(DOCS / "concepts.md").is_file()
