"""Compute a partition inside the engine's process: every node for every block, in dependency order, over the bus."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from livecalc.domain.errors import ModelFailed
from livecalc.domain.modelconfig import BUS, Node, order_nodes, parse_engine
from livecalc.domain.partitions import NodeCost, OutputPart, block_ranges
from livecalc.domain.resulthash import block_digest
from livecalc.domain.violations import Violation
from livecalc.pipeline.block import Block
from livecalc.pipeline.bus import Breach, Bus
from livecalc.pipeline.engines.python import NodeFunction, explain, load_function, print_traceback
from livecalc.pipeline.environment import read_environment
from livecalc.pipeline.messages import Calling, Failed, Finished, Message, Order, Progress
from livecalc.pipeline.outputs import OutputRules
from livecalc.pipeline.resultfile import ResultFile
from livecalc.pipeline.table import Table, load_input

_GIBIBYTE = 1 << 30
_DIGITS = 6


def calculate(order: Order, memory: int, say: Callable[[Message], None]) -> Finished | Failed:
    """Compute an order's blocks, saying how far it is; `memory` is what error messages call the limit, in bytes.

    Raises OSError when results cannot be written. Whatever the model raises comes back as Failed.
    """
    calculation = _Calculation(order, memory, say)
    try:
        calculation.run()
    except _Breached as failure:
        return calculation.failed(failure.detail, failure.violations)
    except ModelFailed as failure:
        return calculation.failed(failure.detail, [])
    except MemoryError as error:
        return calculation.failed(f"the values on the bus need {calculation.too_much(error)}", [])
    return calculation.finished()


class _Breached(ModelFailed):
    """A node broke the rules of the bus."""

    def __init__(self, detail: str, violations: list[Violation]) -> None:
        super().__init__(detail)
        self.violations = violations


class _Step:
    """A node, its function, and what it has cost so far."""

    def __init__(self, node: Node, function: NodeFunction) -> None:
        self.node = node
        self.function = function
        self.rules = OutputRules(node)
        self.cpu = 0.0
        self.wall = 0.0

    def call(self, block: Block, inputs: dict[str, Any]) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            return self.function(block, **inputs)
        finally:
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall

    def cost(self) -> NodeCost:
        return NodeCost(
            engine=parse_engine(self.node.engine).scheme,
            cpu_seconds=round(self.cpu, _DIGITS),
            wall_seconds=round(self.wall, _DIGITS),
        )


class _Calculation:
    """One partition's work."""

    def __init__(self, order: Order, memory: int, say: Callable[[Message], None]) -> None:
        self._order = order
        self._memory = memory
        self._say = say
        self._folder = Path(order.folder)
        self._bus = Bus()
        self._files: dict[str, NDArray[Any] | Table] = {}
        self._steps: list[_Step] = []
        self._digests: dict[str, list[str]] = {}
        self._results = {
            address: ResultFile(Path(order.scratch, f"result-{number}.npy"), order.stop - order.first)
            for number, address in enumerate(order.config.results)
        }

    def run(self) -> None:
        self._load()
        blocks = block_ranges(self._order.first, self._order.stop, self._order.config.scenarios.block)
        for first, stop in blocks:
            self._compute(first, stop)
            self._say(Progress(stop - self._order.first))
        self._refuse(self._bus.check(), "the model")
        for result in self._results.values():
            result.close()

    def finished(self) -> Finished:
        scenarios = self._order.stop - self._order.first
        outputs: dict[str, OutputPart] = {}
        for step in self._steps:
            for address in step.node.outputs.values():
                kind = step.rules.kind(address)
                outputs[address] = OutputPart(
                    node=step.node.id,
                    dtype=kind.dtype,
                    shape=(scenarios, *kind.trailing),
                    digests=self._digests[address],
                )
        return Finished(
            outputs=outputs,
            files={address: str(result.path) for address, result in self._results.items()},
            nodes=self._costs(),
            environment=read_environment(self._order.image),
        )

    def failed(self, error: str, violations: list[Violation]) -> Failed:
        return Failed(
            error=error,
            violations=violations,
            nodes=self._costs(),
            environment=read_environment(self._order.image),
        )

    def _load(self) -> None:
        """Read the files first: a file that Arrow cannot read must not look like the model's own mistake."""
        for node in order_nodes(self._order.config.pipeline.nodes):
            try:
                for source in node.inputs.values():
                    if not source.startswith(BUS) and source not in self._files:
                        self._files[source] = load_input(self._folder / source, source, self._bus)
                self._steps.append(_Step(node, load_function(self._folder, node.engine)))
            except ModelFailed as failure:
                raise ModelFailed(f"node {node.id!r}: {failure.detail}") from failure
            except MemoryError as error:
                raise ModelFailed(f"node {node.id!r}: its inputs need {self.too_much(error)}") from error

    def _compute(self, first: int, stop: int) -> None:
        published: set[str] = set()
        for step in self._steps:
            self._say(Calling(step.node.id, first, stop))
            for address, values in self._call(step, published, first, stop).items():
                view = self._bus.publish(address, values)
                published.add(address)
                self._digests.setdefault(address, []).append(block_digest(first, stop, view.data).hex())
                if address in self._results:
                    self._results[address].append(view)
        self._bus.remove(published)

    def _call(self, step: _Step, published: set[str], first: int, stop: int) -> dict[str, NDArray[Any]]:
        """Call a node and check its outputs; a breach of the bus is told first, whatever else went wrong."""
        where = f"node {step.node.id!r}, scenarios {first}-{stop - 1}"
        block = Block(seed=self._order.config.scenarios.seed, node=step.node.id, first=first, stop=stop)
        outputs: dict[str, NDArray[Any]] = {}
        failure: ModelFailed | None = None
        try:
            inputs = {name: self._input(source) for name, source in step.node.inputs.items()}
            outputs = step.rules.check(step.call(block, inputs), len(block))
        except ModelFailed as error:
            failure = error
        except MemoryError as error:
            failure = ModelFailed(f"needs {self.too_much(error)}")
        except BaseException as error:  # noqa: BLE001  (a model may raise anything, and it ends here as its failure)
            print_traceback(error, self._folder)
            failure = ModelFailed(explain(error, self._folder))
        self._refuse(self._bus.check({*published, *step.node.inputs.values()}), where)
        if failure is not None:
            raise ModelFailed(f"{where}: {failure.detail}") from failure
        return outputs

    def _input(self, source: str) -> Any:
        return self._bus.view(source) if source.startswith(BUS) else self._files[source]

    def _refuse(self, breaches: list[Breach], where: str) -> None:
        if breaches:
            detail = f"{where}: {'; '.join(breach.what for breach in breaches)}"
            raise _Breached(detail, [breach.violation for breach in breaches])

    def too_much(self, error: MemoryError) -> str:
        return f"more memory than its limit of {self._memory / _GIBIBYTE:.3g} GiB: {error}".removesuffix(": ")

    def _costs(self) -> dict[str, NodeCost]:
        return {step.node.id: step.cost() for step in self._steps}
