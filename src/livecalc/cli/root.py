"""The root command: the table of all commands, each with the module that has it."""

import click

from livecalc import __version__
from livecalc.cli.lazy import Entry, LazyGroup

_START = "Begin"
_MODELS = "Models and jobs"
_BUCKETS = "Buckets and what is left of them"
_PROCESSES = "Processes"

ENTRIES = (
    Entry(_START, "demo", "livecalc.cli.commands.demo", "Show the whole life of a bucket on this machine."),
    Entry(_START, "status", "livecalc.cli.commands.status", "Show target, tenant, user, token's end and versions."),
    Entry(_START, "completion", "livecalc.cli.commands.completion", "Print the completion script of a shell."),
    Entry(_MODELS, "bundle", "livecalc.cli.commands.bundle", "Make, check and upload model bundles."),
    Entry(_MODELS, "run", "livecalc.cli.commands.run", "Compute a model here: no bucket, nothing recorded."),
    Entry(_MODELS, "submit", "livecalc.cli.commands.submit", "Submit a model to a bucket."),
    Entry(_MODELS, "jobs", "livecalc.cli.commands.jobs", "List, watch and read jobs."),
    Entry(_BUCKETS, "namespaces", "livecalc.cli.commands.namespaces", "Create, finalize and reap buckets' namespaces."),
    Entry(_BUCKETS, "mttc", "livecalc.cli.commands.mttc", "Recompute a run and compare it, bit for bit."),
    Entry(_BUCKETS, "diagnostics", "livecalc.cli.commands.diagnostics", "Read and verify the archives of buckets."),
    Entry(_BUCKETS, "audit", "livecalc.cli.commands.audit", "Show who did what, and verify the record."),
    Entry(_PROCESSES, "serve", "livecalc.cli.commands.serve", "Run the HTTP API, and a sweep every 5 minutes."),
    Entry(_PROCESSES, "token", "livecalc.cli.commands.token", "Print a token of the local identity, and nothing else."),
    Entry(_PROCESSES, "cleanup", "livecalc.cli.commands.cleanup", "Sweep once: archive and delete what is due."),
    Entry(
        _PROCESSES,
        "retention",
        "livecalc.cli.commands.retention",
        "Delete what has outlived its retention, and hold what must not go.",
    ),
    Entry(_PROCESSES, "worker", "livecalc.cli.commands.worker", "Compute one partition; started inside a pod."),
)

EXAMPLE = """
livecalc demo
livecalc bundle init my-model
livecalc submit my-model --bucket q4-2025 --wait
"""


@click.group(cls=LazyGroup, entries=ENTRIES, example=EXAMPLE)
@click.version_option(__version__, "--version", message="livecalc %(version)s")
def root() -> None:
    """Run actuarial models at scale and leave nothing behind.

    With LIVECALC_URL commands speak to a server; without it everything happens on this machine, under
    LIVECALC_HOME (~/.livecalc). Results go to standard output, everything else to standard error.
    """
