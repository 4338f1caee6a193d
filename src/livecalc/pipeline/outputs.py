"""What a node returned: checked against its config before anything of it is published."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from livecalc.domain.errors import ModelFailed
from livecalc.domain.modelconfig import Node
from livecalc.pipeline.dtypes import DTYPES


class Kind(Struct, frozen=True):
    """What an output is like in every block."""

    dtype: str
    trailing: tuple[int, ...]
    """Its shape after axis 0."""


class OutputRules:
    """The rules for one node's outputs, with the memory of what its first block was like."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._kinds: dict[str, Kind] = {}

    def check(self, returned: Any, scenarios: int) -> dict[str, NDArray[Any]]:
        """Return the outputs by bus address, or raise ModelFailed with what is wrong with which output."""
        outputs = self._by_name(returned)
        for name, values in outputs.items():
            self._check_output(name, values, scenarios)
        return {self._node.outputs[name]: values for name, values in outputs.items()}

    def kind(self, address: str) -> Kind:
        """Return what an output that was checked is like."""
        return self._kinds[address]

    def _by_name(self, returned: Any) -> Mapping[str, Any]:
        names = list(self._node.outputs)
        if not isinstance(returned, dict):
            if len(names) == 1:
                return {names[0]: returned}
            raise ModelFailed(f"returned {_name_type(returned)}: a node of {len(names)} outputs returns a dict of them")
        outputs = cast("dict[Any, Any]", returned)
        if set(outputs) != set(names):
            given = ", ".join(sorted(map(repr, outputs)))
            raise ModelFailed(f"returned outputs {given or 'none'}, its config says {', '.join(map(repr, names))}")
        return {name: outputs[name] for name in names}

    def _check_output(self, name: str, values: Any, scenarios: int) -> None:
        label = f"returned output {name!r}"
        if type(values) is not np.ndarray:
            raise ModelFailed(f"{label} as {_name_type(values)}: only plain NumPy arrays can be published")
        dtype = values.dtype.newbyteorder("<").str
        if dtype not in DTYPES:
            raise ModelFailed(
                f"{label} with dtype {values.dtype}: only booleans, integers, float32 and float64 can be published"
            )
        if values.ndim == 0 or len(values) != scenarios or not values.size:
            raise ModelFailed(f"{label} with shape {values.shape}: axis 0 must be the block's {scenarios} scenarios")
        kind = Kind(dtype, values.shape[1:])
        before = self._kinds.setdefault(self._node.outputs[name], kind)
        if kind != before:
            raise ModelFailed(
                f"{label} as {dtype} {values.shape[1:]} for each scenario, in an earlier block {before.dtype} "
                f"{before.trailing}: all blocks must be alike"
            )


def _name_type(value: object) -> str:
    kind: type[object] = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
