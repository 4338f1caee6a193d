"""Small models written into a folder, as an opened bundle has them, and run by the real engine."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from msgspec import Struct, field

from livecalc.domain.modelconfig import Config, Node, Pipeline, Scenarios
from livecalc.pipeline.outcome import Outcome
from livecalc.pipeline.run import run_partition

NPV = "bus://results/npv"
RATES = "bus://scenarios/rates"

PRELUDE = """
import ctypes, os, signal, subprocess, sys, threading, time
import numpy as np

def esg(block):
    return np.arange(len(block) * 4, dtype="f8").reshape(len(block), 4)

def poke(array, offset):
    byte = ctypes.c_uint8.from_address(array.ctypes.data + offset)
    byte.value ^= 0xFF
"""
"""What every model has: imports, a node `esg` with 4 rates a scenario, and a way to write anywhere."""


def node(function: str, *, inputs: Mapping[str, str] | None = None, **outputs: str) -> Node:
    """A node of `model.py`, named as its function; its outputs as name=address."""
    return Node(id=function, engine=f"python://model.py:{function}", inputs=dict(inputs or {}), outputs=outputs)


class Model(Struct, frozen=True, kw_only=True):
    """A model in a folder."""

    folder: Path
    config: Config

    def run(self, scratch: Path, first: int = 0, stop: int | None = None, **options: object) -> "Run":
        """Run scenarios in a new engine, and keep what it printed."""
        scratch.mkdir(exist_ok=True)
        run = Run()
        stop = self.config.scenarios.count if stop is None else stop
        run.outcome = run_partition(
            self.folder,
            self.config,
            first,
            stop,
            scratch=scratch,
            on_output=run.printed.append,
            on_progress=run.progress.append,
            **options,  # pyright: ignore[reportArgumentType]
        )
        return run


class Run(Struct, kw_only=True):
    """What came of running a model."""

    outcome: Outcome = field(default_factory=lambda: Outcome(state="lost"))
    printed: list[bytes] = field(default_factory=list[bytes])
    progress: list[int] = field(default_factory=list[int])

    @property
    def text(self) -> str:
        """All that it printed."""
        return b"".join(self.printed).decode(errors="replace")


def reads_rates(function: str = "main") -> tuple[Node, Node]:
    """Two nodes: `esg`, and one that reads its rates and gives `npv`."""
    return node("esg", rates=RATES), node(function, inputs={"rates": RATES}, npv=NPV)


def write_model(  # noqa: PLR0913  (each is a part of the config)
    folder: Path,
    code: str,
    *nodes: Node,
    count: int = 80,
    block: int = 40,
    seed: int = 42,
    results: tuple[str, ...] = (NPV,),
) -> Model:
    """Write `model.py`; without nodes it has one, `main`, whose output is `npv`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(PRELUDE + dedent(code))
    config = Config(
        name="model",
        version="1",
        scenarios=Scenarios(count=count, block=block, seed=seed),
        pipeline=Pipeline(nodes=list(nodes) or [node("main", npv=NPV)]),
        results=list(results),
    )
    return Model(folder=folder, config=config)
