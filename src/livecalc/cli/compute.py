"""Compute an opened bundle here, on every core, and put its partitions together as the platform does."""

import os
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from msgspec import Struct

from livecalc.domain.errors import ModelFailed, Unavailable
from livecalc.domain.jobs import split_blocks
from livecalc.domain.modelconfig import RESULTS, Config
from livecalc.domain.resulthash import OutputDigest, result_hash
from livecalc.pipeline.interrupt import Interrupt
from livecalc.pipeline.outcome import Outcome
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
    environment: dict[str, object]


def compute(
    folder: Path,
    config: Config,
    scratch: Path,
    *,
    on_progress: Callable[[int], None],
    on_output: Callable[[bytes], None],
) -> Computed:
    """Compute every scenario; `on_progress` gets how many are done. Raises ModelFailed, Unavailable."""
    ranges = split_blocks(config.scenarios.count, config.scenarios.block, os.cpu_count() or 1)
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
        return run_partition(
            folder, config, first, stop, scratch=place, on_progress=advance, on_output=on_output, interrupt=interrupt
        )

    with _interrupt() as interrupt, ThreadPoolExecutor(len(ranges)) as threads:
        try:
            outcomes = list(threads.map(run, range(len(ranges))))
        except BaseException:
            interrupt.set()
            raise
    return _put_together(config, outcomes)


@contextmanager
def _interrupt() -> Generator[Interrupt]:
    interrupt = Interrupt()
    try:
        yield interrupt
    finally:
        interrupt.close()


def _put_together(config: Config, outcomes: list[Outcome]) -> Computed:
    for outcome in outcomes:
        if outcome.state == "failed":
            raise ModelFailed(outcome.error or "the model failed")
        if outcome.state != "succeeded":
            raise Unavailable(f"computing ended early ({outcome.state}): {outcome.error or 'no reason was given'}")
    nodes = {node for outcome in outcomes for node in outcome.nodes}
    return Computed(
        model=f"{config.name} v{config.version}",
        scenarios=config.scenarios.count,
        result_hash=result_hash({address: _whole(address, config, outcomes) for address in config.results}),
        outputs=_summaries(config, outcomes),
        cpu_seconds={
            node: round(sum(each.nodes[node].cpu_seconds for each in outcomes if node in each.nodes), 3)
            for node in sorted(nodes)
        },
        environment=outcomes[0].environment,
    )


def _whole(address: str, config: Config, outcomes: list[Outcome]) -> OutputDigest:
    parts = [outcome.outputs[address] for outcome in outcomes]
    if len({(part.dtype, part.shape[1:]) for part in parts}) > 1:
        raise ModelFailed(f"output {address} differs between partitions: a model must give one dtype and shape")
    return OutputDigest(
        dtype=parts[0].dtype,
        shape=(config.scenarios.count, *parts[0].shape[1:]),
        block=config.scenarios.block,
        digests=[bytes.fromhex(digest) for part in parts for digest in part.digests],
    )


def _summaries(config: Config, outcomes: list[Outcome]) -> list[OutputSummary]:
    import numpy as np

    from livecalc.pipeline.summary import summarise_outputs

    arrays = {
        address.removeprefix(RESULTS): np.concatenate([np.load(each.arrays[address]) for each in outcomes])
        for address in config.results
    }
    return summarise_outputs(arrays)
