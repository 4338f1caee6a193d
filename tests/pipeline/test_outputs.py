"""What a node may return, and in which words the rest is refused."""

from importlib import import_module
from typing import Any, Literal

import numpy as np
import pytest
from support.models import NPV, node

from livecalc.domain.errors import ModelFailed
from livecalc.pipeline.outputs import Kind, OutputRules

pd: Any = import_module("pandas")
MANY = node("main", npv=NPV, count="bus://results/count")


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "as NoneType: only plain NumPy arrays"),
        ([0.0] * 40, "as list: only plain NumPy arrays"),
        (np.float64(1), "as numpy.float64: only plain NumPy arrays"),
        (np.ma.zeros(40), "as numpy.ma.MaskedArray: only plain NumPy arrays"),
        (pd.Series(np.zeros(40)), "Series: only plain NumPy arrays"),
        (np.zeros(39), "with shape (39,): axis 0 must be the block's 40 scenarios"),
        (np.array(1.0), "with shape (): axis 0 must be the block's 40 scenarios"),
        (np.zeros((40, 0)), "with shape (40, 0): axis 0 must be"),
        (np.zeros((3, 40)), "with shape (3, 40): axis 0 must be"),
        (np.array(["a"] * 40), "with dtype <U1: only booleans, integers, float32 and float64"),
        (np.array([None] * 40), "with dtype object: only"),
        (np.zeros(40, np.longdouble), "with dtype float128: only"),
        (np.zeros(40, np.float16), "with dtype float16: only"),
        (np.zeros(40, complex), "with dtype complex128: only"),
        (np.zeros(40, "datetime64[D]"), "with dtype datetime64[D]: only"),
        (np.zeros(40, "i4,f8"), "only booleans, integers"),
        ({"other": np.zeros(40)}, "returned outputs 'other', its config says 'npv'"),
        ({"npv": np.zeros(40), 1: np.zeros(40)}, "returned outputs 'npv', 1, its config says 'npv'"),
        ({}, "returned outputs none, its config says 'npv'"),
    ],
)
def test_what_cannot_be_published_is_refused_in_words(returned: Any, reason: str) -> None:
    with pytest.raises(ModelFailed) as refusal:
        OutputRules(node("main", npv=NPV)).check(returned, 40)
    assert reason in refusal.value.detail


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (np.zeros(40, "f4"), "as <f4 () for each scenario, in an earlier block <f8 ()"),
        (np.zeros((40, 3)), "as <f8 (3,) for each scenario, in an earlier block <f8 ()"),
    ],
)
def test_all_blocks_are_alike(second: Any, reason: str) -> None:
    rules = OutputRules(node("main", npv=NPV))
    rules.check(np.zeros(40), 40)
    rules.check(np.zeros(8, ">f8"), 8)
    with pytest.raises(ModelFailed) as refusal:
        rules.check(second, 40)
    assert reason in refusal.value.detail


def test_two_outputs_need_a_dict() -> None:
    with pytest.raises(ModelFailed, match=r"returned numpy\.ndarray: a node of 2 outputs returns a dict of them"):
        OutputRules(MANY).check(np.zeros(40), 40)


def test_outputs_come_by_address_in_the_configs_order() -> None:
    npv, count = np.zeros(40), np.zeros((40, 2), "i4")
    rules = OutputRules(MANY)
    assert list(rules.check({"count": count, "npv": npv}, 40).items()) == [(NPV, npv), ("bus://results/count", count)]
    assert rules.kind("bus://results/count") == Kind("<i4", (2,))


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_can_be_published(dtype: str, order: Literal["<", ">"]) -> None:
    rules = OutputRules(node("main", npv=NPV))
    rules.check({"npv": np.zeros((40, 3, 2), np.dtype(dtype).newbyteorder(order))}, 40)
    assert rules.kind(NPV) == Kind(np.dtype(dtype).str, (3, 2))
