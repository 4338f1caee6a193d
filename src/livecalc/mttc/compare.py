"""Compare two runs of one bundle: block digests first, values only where they differ."""

from typing import TYPE_CHECKING, Any

import anyio.to_thread
from msgspec import Struct

from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.modelconfig import RESULTS
from livecalc.domain.partitions import OutputPart
from livecalc.pipeline.partition import check_arrays, read_array, read_record
from livecalc.records.book import JobBook
from livecalc.records.model import FinishedRecord, SubmittedRecord
from livecalc.wire.jobs import Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Run(Struct, frozen=True, kw_only=True):
    """One run as its partitions tell it, whatever their number."""

    submitted: SubmittedRecord
    digests: dict[str, list[str]]
    """Block digests of every bus value by address, in order of blocks."""
    writers: dict[str, str]
    """The node that wrote each address."""
    damage: list[str]
    """What is wrong with the stored blobs; empty when all are as hashed."""


async def read_run(book: JobBook, tenant_key: str, submitted: SubmittedRecord, finished: FinishedRecord) -> Run:
    """Read the digests of a run from its stored partitions, checking each against the arrays beside it."""
    digests: dict[str, list[str]] = {}
    writers: dict[str, str] = {}
    damage: list[str] = []
    for name in finished.partitions:
        try:
            async with book.partition_file(tenant_key, name) as path:
                record = await anyio.to_thread.run_sync(read_record, path)
                outputs: dict[str, OutputPart] = record.outputs
                try:
                    await anyio.to_thread.run_sync(check_arrays, path, record)
                except Damaged as error:
                    damage.append(f"{name}: {error.detail}")
        except (NotFound, Damaged) as error:
            damage.append(f"{name}: {error.detail}")
            continue
        for address, part in outputs.items():
            digests.setdefault(address, []).extend(part.digests)
            writers[address] = part.node
    return Run(submitted=submitted, digests=digests, writers=writers, damage=damage)


async def first_difference(
    book: JobBook, tenant_key: str, original: tuple[Run, FinishedRecord], resumed: tuple[Run, FinishedRecord]
) -> Difference | None:
    """Name the first differing block of the first differing output; None when all digests agree."""
    before, after = original[0], resumed[0]
    for address in sorted(before.submitted.results, key=str.encode):
        blocks = _differing(before.digests.get(address, []), after.digests.get(address, []))
        if blocks:
            arrays = [await _read_output(book, tenant_key, finished, address) for finished in (original[1], resumed[1])]
            return _describe(before, after, address, blocks, arrays)
    return None


def _differing(before: list[str], after: list[str]) -> list[int]:
    if len(before) != len(after):
        return list(range(max(len(before), len(after))))
    return [block for block, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]


def _describe(
    before: Run, after: Run, address: str, blocks: list[int], arrays: "list[NDArray[Any] | None]"
) -> Difference:
    submitted = before.submitted
    first = blocks[0] * submitted.block
    values = None
    if arrays[0] is not None and arrays[1] is not None:
        from livecalc.pipeline.compare import compare_arrays

        values = compare_arrays(arrays[0], arrays[1])
    return Difference(
        output=address.removeprefix(RESULTS),
        block=blocks[0],
        first=first,
        stop=min(first + submitted.block, submitted.scenarios),
        scenario=values.scenario if values else None,
        original=values.original if values else None,
        resumed=values.resumed if values else None,
        blocks_differing=len(blocks),
        blocks_total=-(-submitted.scenarios // submitted.block),
        values_differing=values.differing if values else None,
        values_total=values.total if values else None,
        largest_relative=values.largest_relative if values else None,
        upstream=_upstream(before, after),
    )


def _upstream(before: Run, after: Run) -> str | None:
    order = {node: place for place, node in enumerate(before.submitted.nodes)}
    inner = [address for address in before.digests if address not in before.submitted.results]
    for address in sorted(inner, key=lambda address: (order.get(before.writers[address], 0), address)):
        if before.digests[address] != after.digests.get(address):
            return f"{address} (node {before.writers[address]})"
    return None


async def _read_output(book: JobBook, tenant_key: str, finished: FinishedRecord, address: str) -> "NDArray[Any] | None":
    import numpy as np

    parts: list[NDArray[Any]] = []
    for blob in finished.partitions:
        try:
            async with book.partition_file(tenant_key, blob) as path:
                record = await anyio.to_thread.run_sync(read_record, path)
                parts.append(read_array(path, record, address, check=False))
        except (NotFound, Damaged):
            return None
    return np.concatenate(parts) if parts else None
