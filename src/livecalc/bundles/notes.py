"""What an author should know of a model that is fine: the memory it may need, and what nothing reads."""

from collections.abc import Iterator
from pathlib import Path

from livecalc.bundles.contents import VerifiedBundle
from livecalc.bundles.tables import count_rows
from livecalc.domain.modelconfig import RESULTS, Config

_DOUBLE = 8
_WORTH_TELLING = 1 << 30
"""Bytes."""


def model_notes(folder: Path, bundle: VerifiedBundle) -> Iterator[str]:
    """Yield notes, a sentence each. Raises InvalidInput when an input is not what its name says."""
    config = bundle.config
    read = {source for node in config.pipeline.nodes for source in node.inputs.values()}
    yield from _memory(folder, bundle, read)
    for assumption in config.assumptions:
        if assumption.path not in read:
            yield f"{assumption.path} ({assumption.ref}) is read by no node."
    pinned = {assumption.path for assumption in config.assumptions}
    for path in sorted(read - pinned):
        if path.startswith("assumptions/"):
            yield f"{path} is read, but no entry of `assumptions` pins its version."
    yield from _unkept(config)


def _memory(folder: Path, bundle: VerifiedBundle, read: set[str]) -> Iterator[str]:
    scenarios = bundle.config.scenarios
    for file in bundle.files:
        if file.path not in read:
            continue
        if file.size >= _WORTH_TELLING:
            yield f"{file.path} has {_gib(file.size)}, which each worker holds in memory."
        rows = count_rows(folder / file.path, file.path, least=_WORTH_TELLING // (_DOUBLE * scenarios.count))
        whole, block = (_DOUBLE * rows * count for count in (scenarios.count, min(scenarios.block, scenarios.count)))
        if whole >= _WORTH_TELLING:
            yield (
                f"{file.path} has {rows:,} rows: one double for each row and scenario is {_gib(whole)} "
                f"({_gib(block)} a block of {scenarios.block}); sum over rows in the model, and publish only the sums."
            )


def _unkept(config: Config) -> Iterator[str]:
    for node in config.pipeline.nodes:
        for address in node.outputs.values():
            if address.startswith(RESULTS) and address not in config.results:
                yield f"{address} of node {node.id} is not in `results`, so it is not kept."


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"
