"""Compute an opened bundle here, on the cores that it may use; put its partitions together as the platform does."""

import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from msgspec import Struct

from livecalc.domain.errors import Damaged, ModelFailed, Unavailable
from livecalc.domain.jobs import split_blocks
from livecalc.domain.modelconfig import RESULTS, Config
from livecalc.domain.partitions import Environment, join_outputs
from livecalc.domain.resulthash import OutputDigest, result_hash
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.outcome import Outcome, make_record
from livecalc.pipeline.run import run_partition
from livecalc.wire.jobs import OutputSummary


class Computed(Struct, frozen=True, kw_only=True):
    """What a run gave; the field names are those of a job's result."""

    model: str
    scenarios: int
    result_hash: str
    outputs: list[OutputSummary]
    cpu_seconds: dict[str, float]
    """By node."""
    environment: Environment


def compute(
    folder: Path,
    config: Config,
    scratch: Path,
    *,
    on_progress: Callable[[int], None],
    on_output: Callable[[bytes], None],
) -> Computed:
    """Compute every scenario; `on_progress` gets how many are done. Raises ModelFailed, Unavailable.

    One process for each core that this one may use, each with its share of the machine's memory. When one fails, the
    others are stopped.
    """
    ranges = split_blocks(config.scenarios.count, config.scenarios.block, _cores())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // len(ranges)
    done = [0] * len(ranges)
    lock = Lock()

    def run(index: int) -> Outcome:
        def advance(scenarios: int) -> None:
            with lock:
                done[index] = scenarios
                on_progress(sum(done))

        place = scratch / str(index)
        place.mkdir()
        first, stop = ranges[index]
        try:
            outcome = run_partition(
                folder,
                config,
                first,
                stop,
                scratch=place,
                memory=memory,
                on_progress=advance,
                on_output=on_output,
                interrupt=interrupt,
            )
        except BaseException:
            interrupt.set()
            raise
        if outcome.state != "succeeded":
            interrupt.set()
        return outcome

    with _interrupt() as interrupt, ThreadPoolExecutor(len(ranges)) as threads:
        try:
            outcomes = list(threads.map(run, range(len(ranges))))
        except BaseException:
            interrupt.set()
            raise
    return _put_together(config, ranges, outcomes)


@contextmanager
def _interrupt() -> Generator[Interrupt]:
    interrupt = Interrupt()
    try:
        yield interrupt
    finally:
        interrupt.close()


def _put_together(config: Config, ranges: list[tuple[int, int]], outcomes: list[Outcome]) -> Computed:
    _check_ends(outcomes)
    nodes = {node for outcome in outcomes for node in outcome.nodes}
    outputs = _join(config, ranges, outcomes)
    return Computed(
        model=f"{config.name} v{config.version}",
        scenarios=config.scenarios.count,
        result_hash=result_hash({address: outputs[address] for address in config.results}),
        outputs=_summaries(config, outcomes),
        cpu_seconds={
            node: round(sum(each.nodes[node].cpu_seconds for each in outcomes if node in each.nodes), 3)
            for node in sorted(nodes)
        },
        environment=outcomes[0].environment,
    )


def _check_ends(outcomes: list[Outcome]) -> None:
    """Raise the reason when not all succeeded: `interrupted` is what one failure made of the others."""
    ends = {outcome.state: outcome for outcome in reversed(outcomes)}
    if failed := ends.get("failed"):
        raise ModelFailed(failed.error or "the model failed")
    if ended := ends.get("lost") or ends.get("interrupted"):
        raise Unavailable(f"computing ended early ({ended.state}): {ended.error or 'no reason was given'}")


def _join(config: Config, ranges: list[tuple[int, int]], outcomes: list[Outcome]) -> dict[str, OutputDigest]:
    records = [
        make_record(outcome, job_id="", index=index, attempt=0, first=first, stop=stop, block=config.scenarios.block)
        for index, (outcome, (first, stop)) in enumerate(zip(outcomes, ranges, strict=True))
    ]
    try:
        return join_outputs(records, config.scenarios.count)
    except Damaged as error:  # nothing was stored, so that it is the model which gave what does not fit together
        raise ModelFailed(f"{error.detail}: a model must give one dtype and shape") from None


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _summaries(config: Config, outcomes: list[Outcome]) -> list[OutputSummary]:
    import numpy as np

    from livecalc.pipeline.summary import summarise_outputs

    arrays = {
        address.removeprefix(RESULTS): np.concatenate([np.load(each.arrays[address]) for each in outcomes])
        for address in config.results
    }
    return summarise_outputs(arrays)
