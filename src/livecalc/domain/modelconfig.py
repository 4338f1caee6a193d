"""The shape of `livecalc.config.json`, and what its parts say: engines' addresses, the order of nodes.

The rules that make a configuration acceptable are in `modelrules`.
"""

import keyword
import re

from msgspec import Struct, field

from livecalc.domain.errors import InvalidInput

CONFIG_FILE = "livecalc.config.json"
MANIFEST_FILE = "manifest.json"
DEFAULT_BLOCK = 40
BUS = "bus://"
RESULTS = "bus://results/"

_PYTHON = re.compile(r"python://(?P<path>[^:]+\.py):(?P<function>[A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_WASM = re.compile(r"wasm://(?P<path>[^:]+\.wasm)", re.ASCII)
_SHOWN = 200


class Scenarios(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many scenarios, in blocks of how many, from which seed (a u64)."""

    count: int
    block: int = DEFAULT_BLOCK
    seed: int = 0


class Assumption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pinned assumption: `mortality/us-1999-2001:v1`, and the file that holds it."""

    ref: str
    path: str


class Node(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: an engine's address, named inputs (files or bus addresses), named outputs (bus addresses)."""

    id: str
    engine: str
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    outputs: dict[str, str]


class Pipeline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nodes, in any order; the bus decides what runs when."""

    nodes: list[Node]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's configuration."""

    name: str
    version: str
    scenarios: Scenarios
    assumptions: list[Assumption] = field(default_factory=list[Assumption])
    pipeline: Pipeline
    results: list[str]


class Engine(Struct, frozen=True, kw_only=True):
    """An engine's address in parts: the scheme, the file in the bundle, and for Python the function."""

    scheme: str
    """`python` or `wasm`."""
    path: str
    function: str = ""


def parse_engine(address: str) -> Engine:
    """Take an engine's address apart. Raises InvalidInput when it has neither of the two forms."""
    if match := _PYTHON.fullmatch(address):
        if keyword.iskeyword(match["function"]):
            raise InvalidInput(f"engine {address!r} names {match['function']!r}, which is a word of Python's own")
        return Engine(scheme="python", path=match["path"], function=match["function"])
    if match := _WASM.fullmatch(address):
        return Engine(scheme="wasm", path=match["path"])
    raise InvalidInput(
        f"engine {address[:_SHOWN]!r} does not resolve: it looks like python://file.py:function or wasm://file.wasm"
    )


def order_nodes(nodes: list[Node]) -> list[Node]:
    """Put nodes in the order they can run, ties as they are written.

    Raises InvalidInput when a bus input has no producer, an address has two, or nodes wait for each other.
    """
    producers: dict[str, str] = {}
    for node in nodes:
        for address in node.outputs.values():
            if address in producers:
                raise InvalidInput(f"{address} is written by node {producers[address]!r} and again by node {node.id!r}")
            producers[address] = node.id
    waiting = list(nodes)
    done: list[Node] = []
    ready: set[str] = set()
    while waiting:
        node = next((node for node in waiting if _bus_inputs(node) <= ready), None)
        if node is None:
            raise InvalidInput(_stuck(waiting, producers))
        waiting.remove(node)
        done.append(node)
        ready.update(node.outputs.values())
    return done


def _bus_inputs(node: Node) -> set[str]:
    return {address for address in node.inputs.values() if address.startswith(BUS)}


def _stuck(waiting: list[Node], producers: dict[str, str]) -> str:
    for node in waiting:
        for address in sorted(_bus_inputs(node) - producers.keys()):
            return f"node {node.id!r} reads {address}, which no node writes"
    return (
        f"nodes {', '.join(repr(node.id) for node in waiting)} wait for each other's outputs: a pipeline has no circles"
    )
