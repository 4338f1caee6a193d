"""Compare two runs of one bundle: block digests first, values only where they differ."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec
from msgspec import Struct

from livecalc.blobs.digest import sha256_of
from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.modelconfig import RESULTS
from livecalc.domain.partitions import OutputPart, PartitionRecord
from livecalc.pipeline.partition import check_arrays, read_array, read_record
from livecalc.records.book import JobBook
from livecalc.records.model import FinishedRecord, SubmittedRecord
from livecalc.wire.jobs import Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from livecalc.pipeline.compare import ArrayDifference


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
    for name, digest in zip_longest(finished.partitions, finished.partition_digests[: len(finished.partitions)]):
        try:
            async with book.partition_file(tenant_key, submitted, name) as path:
                record = await anyio.to_thread.run_sync(read_record, path)
                outputs: dict[str, OutputPart] = record.outputs
                try:
                    await anyio.to_thread.run_sync(check_arrays, path, record)
                    await anyio.to_thread.run_sync(_check_digest, path, digest)
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
            async with _opened(book, tenant_key, original) as one, _opened(book, tenant_key, resumed) as other:
                values = await anyio.to_thread.run_sync(_compare_blocks, before, address, blocks, one, other)
            return _describe(before, after, address, blocks, values)
    return None


def _differing(before: list[str], after: list[str]) -> list[int]:
    if len(before) != len(after):
        return list(range(max(len(before), len(after))))
    return [block for block, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]


def _describe(before: Run, after: Run, address: str, blocks: list[int], values: "ArrayDifference | None") -> Difference:
    submitted = before.submitted
    first = blocks[0] * submitted.block
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


@asynccontextmanager
async def _opened(
    book: JobBook, tenant_key: str, run: tuple[Run, FinishedRecord]
) -> AsyncGenerator[list[tuple[Path, PartitionRecord]], None]:
    """Have a run's partitions as local files, in order of scenarios; those that cannot be read are left out."""
    async with AsyncExitStack() as stack:
        opened: list[tuple[Path, PartitionRecord]] = []
        for blob in run[1].partitions:
            try:
                path = await stack.enter_async_context(book.partition_file(tenant_key, run[0].submitted, blob))
                opened.append((path, await anyio.to_thread.run_sync(read_record, path)))
            except (NotFound, Damaged):
                continue
        yield opened


def _compare_blocks(
    run: Run,
    address: str,
    blocks: list[int],
    original: list[tuple[Path, PartitionRecord]],
    resumed: list[tuple[Path, PartitionRecord]],
) -> "ArrayDifference | None":
    """Compare only the blocks that differ, one at a time: results may be larger than memory."""
    from livecalc.pipeline.compare import ArrayDifference, compare_arrays

    first: ArrayDifference | None = None
    differing, largest = 0, 0.0
    total = 0
    for block in blocks:
        start = block * run.submitted.block
        stop = min(start + run.submitted.block, run.submitted.scenarios)
        arrays = [_read_block(parts, address, start, stop) for parts in (original, resumed)]
        if arrays[0] is None or arrays[1] is None:
            return None
        found = compare_arrays(arrays[0], arrays[1])
        if found.differing is None:
            return None
        total = arrays[0].size // len(arrays[0]) * run.submitted.scenarios
        if first is None and found.scenario is not None:
            first = msgspec.structs.replace(found, scenario=start + found.scenario)
        differing += found.differing
        largest = max(largest, found.largest_relative or 0.0)
    if first is None:
        return None
    return msgspec.structs.replace(first, differing=differing, total=total, largest_relative=largest)


def _read_block(
    parts: list[tuple[Path, PartitionRecord]], address: str, start: int, stop: int
) -> "NDArray[Any] | None":
    for path, record in parts:
        if record.first <= start and stop <= record.stop and address in record.files:
            return read_array(path, record, address, first=start, stop=stop, check=False)
    return None


def _check_digest(path: Path, digest: str | None) -> None:
    if digest and sha256_of(path) != digest:
        raise Damaged("the blob's bytes are not those that were recorded when the job ended")
