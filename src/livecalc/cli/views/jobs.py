"""Jobs and their results as text."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from livecalc.cli.format import NONE, between, count, day, duration, moment, number, short, since
from livecalc.cli.tables import facts, table
from livecalc.wire.diagnostics import Archive
from livecalc.wire.jobs import Job, NodeReport, OutputSummary, Recomputation, Result

_QUANTILES = ("0.5", "5", "50", "95", "99.5")
_FEW_QUANTILES = ("0.5", "50", "99.5")
_PINS = ("python", "numpy", "cpu", "blas", "image")
_TAILS = ("70", "90", "99")


def list_jobs(jobs: Sequence[Job], now: datetime) -> str:
    """One line for each job."""
    rows = [
        [
            job.job_id,
            job.bucket_id,
            job.name or job.model,
            job.state,
            f"{job.scenarios.done}/{job.scenarios.total}",
            short(job.result_hash),
            since(job.created_at, now),
        ]
        for job in jobs
    ]
    return table(["JOB", "BUCKET", "NAME", "STATE", "SCENARIOS", "RESULT", "AGE"], rows)


def show_job(job: Job, archive: Archive | None) -> str:
    """Everything about one job, for someone who was not there. `archive` is the one that `job.archive` names."""
    parts = [facts(_facts(job, archive))]
    if job.nodes:
        parts.append(_nodes(job))
    return "\n\n".join(parts)


def summary(result: Result, *, whole: bool = False) -> str:
    """The distribution of each output; `whole` shows every quantile and tail expectation."""
    quantiles, tails = (_QUANTILES, _TAILS) if whole else (_FEW_QUANTILES, ())
    headers = ["OUTPUT", "MEAN", "SE", "SD", *(f"P{percent}" for percent in quantiles)]
    headers += [f"CTE{percent}" for percent in tails]
    rows = [[output.output, *map(number, _figures(output, quantiles, tails))] for output in result.outputs]
    return table(headers, rows, right=headers[1:])


def _figures(output: OutputSummary, quantiles: Sequence[str], tails: Sequence[str]) -> list[float | None]:
    shown = [output.mean, output.se, output.sd, *map(output.quantiles.get, quantiles)]
    return [*shown, *map(output.cte.get, tails)]


def _facts(job: Job, archive: Archive | None) -> list[tuple[str, str]]:
    took = between(job.started_at, job.finished_at)
    who = ", ".join(part for part in (job.user_id, moment(job.created_at), took) if part != NONE)
    return [
        ("Job", f"{job.job_id}   {job.state}   ({who})"),
        ("Name", job.name or ""),
        ("Labels", " ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))),
        ("Bundle", f"{short(job.model_bundle_hash)}   {job.model}"),
        ("Bucket", f"{job.bucket_id}   {_namespace(job, archive)}"),
        ("Scenarios", _scenarios(job)),
        ("Workers", f"{count(job.partitions.total, 'partition')}, {count(job.retries, 'retry', 'retries')}"),
        ("Result", _result(job)),
        ("Error", job.error or ""),
        ("Sentinels", f"{count(job.violations, 'violation')} of the model's memory" if job.violations else ""),
        ("Recompute", "\n".join(map(_recomputation, job.recomputations))),
        ("Pinned to", environment(job.environment)),
    ]


def _namespace(job: Job, archive: Archive | None) -> str:
    if job.archive is None:
        return f"namespace {job.namespace}"
    reaped = f"reaped {moment(archive.reaped_at)}" if archive else "reaped"
    return f"namespace {reaped}, archive {job.archive.rpartition('/')[2]}"


def _scenarios(job: Job) -> str:
    blocks = -(-job.scenarios.total // job.block) if job.block else 0
    return f"{job.scenarios.done}/{job.scenarios.total} in {count(blocks, 'block')} of {job.block}, seed {job.seed}"


def _result(job: Job) -> str:
    if job.result_hash is None:
        return ""
    kept = f"kept until {day(job.kept_until)} ({job.retention})" if job.kept_until else f"{job.retention} retention"
    return f"{short(job.result_hash)}   {kept}"


def _recomputation(run: Recomputation) -> str:
    found = "matched" if run.match else f"did NOT match ({short(run.result_hash)})"
    return f"{found} {moment(run.at)} in {duration(run.duration_seconds)}"


def _nodes(job: Job) -> str:
    rows = [_node(node) for node in job.nodes]
    return table(["NODE", "ENGINE", "BLOCKS", "CPU"], rows, right=["BLOCKS", "CPU"])


def _node(node: NodeReport) -> list[str]:
    return [node.id, node.engine, f"{node.blocks.done}/{node.blocks.total}", duration(node.cpu_seconds)]


def environment(recorded: Mapping[str, object]) -> str:
    """What a result is pinned to, in one line; the whole record is in the JSON."""
    known = [(key, recorded[key]) for key in _PINS if recorded.get(key)]
    return ", ".join(str(value) if key in {"cpu", "blas"} else f"{key} {value}" for key, value in known)
