"""A succeeded job's outputs: read whole from its partitions, and summarised."""

from typing import TYPE_CHECKING, Any

import anyio.to_thread

from livecalc.domain.errors import Damaged, NotFound
from livecalc.domain.modelconfig import RESULTS
from livecalc.domain.partitions import PartitionRecord
from livecalc.pipeline.partition import read_array, read_record
from livecalc.records.book import JobBook
from livecalc.records.model import FinishedRecord, SubmittedRecord
from livecalc.wire.jobs import Result

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


async def summarise(book: JobBook, tenant_key: str, submitted: SubmittedRecord, finished: FinishedRecord) -> Result:
    """Summarise each output over all scenarios, in the order of scenarios. Raises Damaged."""
    from livecalc.pipeline.summary import summarise_outputs

    arrays = await read_arrays(book, tenant_key, submitted, finished)
    outputs = await anyio.to_thread.run_sync(summarise_outputs, arrays)
    return Result(job_id=submitted.job_id, result_hash=finished.result_hash or "", outputs=outputs)


async def read_arrays(
    book: JobBook, tenant_key: str, submitted: SubmittedRecord, finished: FinishedRecord
) -> "dict[str, NDArray[Any]]":
    """Read each output whole, by its name without `bus://results/`. Raises Damaged."""
    import numpy as np

    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in submitted.results}
    for blob in finished.partitions:
        try:
            async with book.partition_file(tenant_key, submitted, blob) as path:
                arrays = await anyio.to_thread.run_sync(_read_partition, path, submitted.results)
        except NotFound:
            raise Damaged(f"job {submitted.job_id} cannot be read: result blob {blob} is missing") from None
        except Damaged as error:
            raise Damaged(
                f"job {submitted.job_id} cannot be read: result blob {blob} is damaged: {error.detail}"
            ) from None
        for name, array in arrays.items():
            parts[name].append(array)
    return {name.removeprefix(RESULTS): np.concatenate(arrays) for name, arrays in parts.items()}


def _read_partition(path: "Path", results: list[str]) -> "dict[str, NDArray[Any]]":
    record: PartitionRecord = read_record(path)
    return {name: read_array(path, record, name) for name in results}
