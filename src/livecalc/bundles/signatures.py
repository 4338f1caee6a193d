"""Check a Python node's signature by reading its source: `def node(block, /, *, name, ...)`. Nothing is imported."""

import ast
from collections.abc import Collection

from livecalc.domain.errors import InvalidInput

MAX_SOURCE = 128 << 10
"""Bytes of a file with nodes; reading takes up to 500 times as much memory, and 5 s a MiB in which no thread runs."""
MAX_SOURCES = 1 << 20
"""Bytes of all files with nodes together."""


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def read_definitions(source: bytes, path: str) -> dict[str, Definition]:
    """Return what a file defines at its top level, by name. Raises InvalidInput when it is not Python."""
    try:
        module = ast.parse(source, path)
    except SyntaxError as error:
        where = f"line {error.lineno}" if error.lineno else "its start"
        raise InvalidInput(f"{path!r} is not valid Python, {where}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"{path!r} cannot be read as Python: {error or type(error).__name__}") from error
    return {statement.name: statement for statement in module.body if isinstance(statement, Definition)}


def check_signature(found: Definition | None, address: str, inputs: Collection[str]) -> None:
    """Hold a node's function to the keys of its `inputs`, or raise InvalidInput with what differs."""
    function = address.rpartition(":")[2]
    if found is None:
        raise InvalidInput(f"{address} does not resolve: the file has no `def {function}` at its top level")
    if not isinstance(found, ast.FunctionDef):
        raise InvalidInput(f"{address} is not a plain function: write `def {function}`")
    arguments = found.args
    if arguments.vararg or arguments.kwarg:
        raise InvalidInput(f"{address} takes *args or **kwargs; a node names its inputs: {_form(function, inputs)}")
    if len(arguments.posonlyargs) + len(arguments.args) != 1:
        raise InvalidInput(f"{address} must take the block as its one positional parameter: {_form(function, inputs)}")
    keywords = {argument.arg for argument in arguments.kwonlyargs}
    for name in sorted(set(inputs) - keywords):
        raise InvalidInput(f"{address} has no keyword parameter {name!r} for the input of that name")
    for name in sorted(keywords - set(inputs)):
        raise InvalidInput(f"{address} has a keyword parameter {name!r}, which is no input of the node")


def _form(function: str, inputs: Collection[str]) -> str:
    keywords = ", *, " + ", ".join(inputs) if inputs else ""
    return f"def {function}(block, /{keywords})"
