"""The rules of `livecalc.config.json`: what is accepted, and in which words the rest is refused.

`parse_config` checks all that the text alone can tell, `resolve_files` what needs the names of the bundle's files.
"""

import json
import keyword
import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from livecalc.domain.errors import InvalidInput
from livecalc.domain.modelconfig import BUS, CONFIG_FILE, Assumption, Config, Node, order_nodes, parse_engine

LANES = 8
"""Blocks are a multiple of this: wasm guests take scenarios as lanes of 8."""
MAX_SCENARIOS = 10**9
MAX_BLOCKS = 10**6
MAX_NODES = 1000
MAX_CONFIG_BYTES = 1 << 20
INPUT_TYPES = (".npy", ".csv", ".parquet")

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NAME_RULE = "use 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', beginning and ending with a letter or digit"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}", re.ASCII)
_VERSION_RULE = "use 1 to 40 of A-Z, a-z, 0-9, '.', '_', '+' and '-', beginning with a letter or digit"
_SEGMENTS = r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*"
_ADDRESS = re.compile(BUS + _SEGMENTS, re.ASCII)
_REF = re.compile(_SEGMENTS + r":v[1-9][0-9]{0,8}", re.ASCII)
_TEXT_LENGTH = 200


def parse_config(data: bytes) -> Config:
    """Read a configuration and check it. Raises InvalidInput with the JSON path of what is wrong."""
    config = _convert(_read_json(data))
    _check_head(config)
    _check_assumptions(config.assumptions)
    _check_nodes(config.pipeline.nodes)
    _check_order(config.pipeline.nodes)
    _check_results(config.results, {address for node in config.pipeline.nodes for address in node.outputs.values()})
    return config


def resolve_files(config: Config, files: Collection[str]) -> None:
    """Check that each file that the configuration names is among the bundle's files, or raise InvalidInput."""
    for where, path in _named_files(config):
        if path not in files:
            raise _wrong(where, f"{path!r} is not in the bundle")


def check_name(text: str) -> str:
    """Return a model's name or raise InvalidInput."""
    if _NAME.fullmatch(text) is None:
        raise InvalidInput(f"model name {text[:_TEXT_LENGTH]!r} is not valid: {_NAME_RULE}")
    return text


def _wrong(where: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{CONFIG_FILE}: {where}: {reason}")


def _read_json(data: bytes) -> Any:
    """Read strict JSON: UTF-8, no key twice (readers differ on which one counts), no NaN."""
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidInput(f"{CONFIG_FILE} has {len(data)} bytes; at most {MAX_CONFIG_BYTES} are allowed")
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{CONFIG_FILE} is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise InvalidInput(f"{CONFIG_FILE} is nested too deeply") from error
    except ValueError as error:
        raise InvalidInput(f"{CONFIG_FILE} is not valid JSON: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"key {key[:_TEXT_LENGTH]!r} stands twice in one object")
        content[key] = value
    return content


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


def _convert(content: Any) -> Config:
    try:
        return msgspec.convert(content, Config)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        raise _wrong(where.strip("`") or "$", reason) from error


def _check_head(config: Config) -> None:
    scenarios = config.scenarios
    if _NAME.fullmatch(config.name) is None:
        raise _wrong("$.name", _NAME_RULE)
    if _VERSION.fullmatch(config.version) is None:
        raise _wrong("$.version", _VERSION_RULE)
    if not 1 <= scenarios.count <= MAX_SCENARIOS:
        raise _wrong("$.scenarios.count", f"{scenarios.count} is not between 1 and {MAX_SCENARIOS:,}")
    if scenarios.block < LANES or scenarios.block % LANES:
        raise _wrong("$.scenarios.block", f"{scenarios.block} is not a multiple of {LANES}")
    if scenarios.block > MAX_SCENARIOS or -(-scenarios.count // scenarios.block) > MAX_BLOCKS:
        raise _wrong(
            "$.scenarios.block", f"{scenarios.block} does not split the scenarios into 1 to {MAX_BLOCKS:,} blocks"
        )
    if not 0 <= scenarios.seed < 1 << 64:
        raise _wrong("$.scenarios.seed", f"{scenarios.seed} is not between 0 and 2^64-1")


def _check_assumptions(assumptions: list[Assumption]) -> None:
    seen: set[str] = set()
    for index, assumption in enumerate(assumptions):
        where = f"$.assumptions[{index}].ref"
        if len(assumption.ref) > _TEXT_LENGTH or _REF.fullmatch(assumption.ref) is None:
            raise _wrong(
                where,
                f"{assumption.ref[:_TEXT_LENGTH]!r} has no pinned version: it looks like mortality/us-1999-2001:v1",
            )
        if assumption.ref in seen:
            raise _wrong(where, f"{assumption.ref!r} stands twice")
        seen.add(assumption.ref)


def _check_nodes(nodes: list[Node]) -> None:
    if not nodes:
        raise _wrong("$.pipeline.nodes", "a pipeline has at least one node")
    if len(nodes) > MAX_NODES:
        raise _wrong("$.pipeline.nodes", f"{len(nodes)} nodes are over the limit of {MAX_NODES}")
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        where = f"$.pipeline.nodes[{index}]"
        if _NAME.fullmatch(node.id) is None:
            raise _wrong(f"{where}.id", f"{node.id[:_TEXT_LENGTH]!r} is not valid: {_NAME_RULE}")
        if node.id in seen:
            raise _wrong(f"{where}.id", f"{node.id!r} stands twice")
        seen.add(node.id)
        _check_node(node, where)


def _check_node(node: Node, where: str) -> None:
    try:
        engine = parse_engine(node.engine)
    except InvalidInput as error:
        raise _wrong(f"{where}.engine", error.detail) from error
    for name, source in node.inputs.items():
        _check_port(f"{where}.inputs", name, python=engine.scheme == "python")
        _check_source(f"{where}.inputs.{name}", source)
    if not node.outputs:
        raise _wrong(f"{where}.outputs", "a node has at least one output")
    for name, address in node.outputs.items():
        _check_port(f"{where}.outputs", name, python=False)
        _check_address(f"{where}.outputs.{name}", address)


def _check_port(where: str, name: str, *, python: bool) -> None:
    """Inputs of a Python node are keyword parameters; every port's name can be one."""
    if len(name) > _TEXT_LENGTH or not (name.isascii() and name.isidentifier()):
        raise _wrong(where, f"{name[:_TEXT_LENGTH]!r} is not a name: use letters, digits and '_'")
    if python and keyword.iskeyword(name):
        raise _wrong(where, f"{name!r} is a word of Python's own and cannot be a parameter")


def _check_source(where: str, source: str) -> None:
    if "://" in source:
        _check_address(where, source)
    elif not source.endswith(INPUT_TYPES):
        raise _wrong(
            where, f"{source[:_TEXT_LENGTH]!r} is of no supported type: use {', '.join(INPUT_TYPES)} or a bus address"
        )


def _check_address(where: str, address: str) -> None:
    if len(address) > _TEXT_LENGTH or _ADDRESS.fullmatch(address) is None:
        raise _wrong(where, f"{address[:_TEXT_LENGTH]!r} is not a bus address: it looks like bus://scenarios/rates")


def _check_order(nodes: list[Node]) -> None:
    try:
        order_nodes(nodes)
    except InvalidInput as error:
        raise _wrong("$.pipeline.nodes", error.detail) from error


def _check_results(results: list[str], written: Collection[str]) -> None:
    if not results:
        raise _wrong("$.results", "a model has at least one result")
    seen: set[str] = set()
    for index, address in enumerate(results):
        if address not in written:
            raise _wrong(f"$.results[{index}]", f"{address[:_TEXT_LENGTH]!r} is written by no node")
        if address in seen:
            raise _wrong(f"$.results[{index}]", f"{address!r} stands twice")
        seen.add(address)


def _named_files(config: Config) -> Iterator[tuple[str, str]]:
    """Each file that a configuration names, with the JSON path where it does."""
    for index, assumption in enumerate(config.assumptions):
        yield f"$.assumptions[{index}].path", assumption.path
    for index, node in enumerate(config.pipeline.nodes):
        yield f"$.pipeline.nodes[{index}].engine", parse_engine(node.engine).path
        for name, source in node.inputs.items():
            if not source.startswith(BUS):
                yield f"$.pipeline.nodes[{index}].inputs.{name}", source
