"""One output of a job, for notebooks: its summary at once, its values when they are asked for."""

# PyArrow has no types of its own, and pandas is optional:
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Callable
from functools import cached_property
from html import escape
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec

from livecalc.domain.errors import InvalidInput, Unavailable
from livecalc.wire import media
from livecalc.wire.jobs import OutputSummary, Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from livecalc.client.client import Client

Figure = tuple[str, Callable[[OutputSummary], float | None]]
_FIGURES: tuple[Figure, ...] = (
    ("mean", lambda output: output.mean),
    ("SE", lambda output: output.se),
    ("SD", lambda output: output.sd),
    ("P0.5", lambda output: output.quantiles.get("0.5")),
    ("P50", lambda output: output.quantiles.get("50")),
    ("P99.5", lambda output: output.quantiles.get("99.5")),
)
_MILLION = 1e6


class ResultArray:
    """An output: axis 0 is scenarios. Nothing is downloaded before a `to_` method is called."""

    def __init__(self, client: "Client", result: Result, name: str) -> None:
        self._client = client
        self._result = result
        self.name = name

    @property
    def summaries(self) -> list[OutputSummary]:
        """The distribution of each column over scenarios; a plain output has one."""
        columns = (self.name, f"{self.name}[")
        return [
            each for each in self._result.outputs if each.output == columns[0] or each.output.startswith(columns[1])
        ]

    @property
    def summary(self) -> OutputSummary:
        """The distribution of a plain output. Raises InvalidInput for a wider one."""
        found = self.summaries
        if len(found) != 1:
            raise InvalidInput(f"{self.name} has {len(found)} columns: use `summaries`")
        return found[0]

    def to_arrow(self) -> Any:
        """The values as a `pyarrow.Table`: `scenario`, then a column for the output or one for each of its columns."""
        return self._table

    def to_numpy(self) -> "NDArray[np.generic]":
        """The values as an array in the output's own shape and type."""
        import numpy as np

        shapes = msgspec.json.decode(self._table.schema.metadata[media.SHAPES_KEY.encode()], type=dict[str, list[int]])
        columns = [column.to_numpy() for column in self._table.columns[1:]]
        if len(shapes[self.name]) == 1:
            return np.array(columns[0])
        return np.stack(columns, axis=1).reshape(shapes[self.name])

    def to_pandas(self) -> Any:
        """The values as a `pandas.DataFrame`, indexed by scenario."""
        if find_spec("pandas") is None:
            raise Unavailable("pandas is not installed: pip install livecalc-platform[notebook]")
        return self._table.to_pandas().set_index(media.SCENARIO_COLUMN)

    @cached_property
    def _table(self) -> Any:
        from pyarrow import ipc

        raw = b"".join(self._client.download_result(self._result.job_id, "arrow", outputs=[self.name]))
        with ipc.open_stream(BytesIO(raw)) as reader:
            return reader.read_all()

    def __repr__(self) -> str:
        lines = [f"{self.name} of job {self._result.job_id}, result {self._result.result_hash[:12]}"]
        for output in self.summaries:
            figures = "  ".join(f"{name} {_number(read(output))}" for name, read in _FIGURES)
            lines.append(f"{output.output}: {output.count} scenarios  {figures}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("output", "scenarios", *(name for name, _ in _FIGURES)))
        rows: list[str] = []
        for output in self.summaries:
            cells = [escape(output.output), str(output.count), *(_number(read(output)) for _, read in _FIGURES)]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.6g}" if abs(value) < _MILLION else f"{value:,.0f}"
