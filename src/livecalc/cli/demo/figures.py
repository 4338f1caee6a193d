"""The closed form that the example brings along, and how far a simulated mean is from it."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Struct

from livecalc.domain.errors import ModelFailed
from livecalc.wire.jobs import OutputSummary

_TOLERANCE = 4.0
"""Standard errors; a right model is further away once in 16,000 runs."""


class Comparison(Struct, frozen=True, kw_only=True):
    """A simulated mean beside its closed form."""

    closed_form: float
    mean: float
    standard_errors: float
    """Their difference, signed."""

    @property
    def holds(self) -> bool:
        """Whether chance explains the difference."""
        return abs(self.standard_errors) <= _TOLERANCE


class ClosedForm:
    """`closed_form.py` of an example, run as a process of its own: model code is never imported here."""

    def __init__(self, example: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "closed_form.py"],
            cwd=example,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self._process.kill()
        self._process.communicate()

    def compare(self, output: OutputSummary) -> Comparison:
        """Wait for it, and compare it with an output of a run. Raises ModelFailed."""
        printed, complaints = self._process.communicate()
        if self._process.returncode or output.mean is None or not output.se:
            reason = complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise ModelFailed(
                f"output {output.output} cannot be compared with its closed form: {reason or 'it has no mean'}"
            )
        value = msgspec.json.decode(printed, type=dict[str, float])[output.output]
        return Comparison(closed_form=value, mean=output.mean, standard_errors=(output.mean - value) / output.se)


def count_rows(table: Path) -> int:
    """How many rows a Parquet file has, from its footer."""
    parquet: Any = import_module("pyarrow.parquet")
    return int(parquet.read_metadata(table).num_rows)
