"""The Python engine: find a node's function in the opened bundle, and put its errors in words. Runs model code."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from livecalc.domain.errors import ModelFailed
from livecalc.domain.modelconfig import parse_engine

NodeFunction = Callable[..., Any]

_SHOWN_FRAMES = -50
_SHOWN_TEXT = 1000


def load_function(folder: Path, address: str) -> NodeFunction:
    """Import a node's file from the bundle and return its function. Raises ModelFailed."""
    engine = parse_engine(address)
    if engine.scheme != "python":
        raise ModelFailed(f"{address} needs the engine {engine.scheme!r}, which this version does not have")
    module = _load_module(folder, engine.path)
    function = getattr(module, engine.function, None)
    if not callable(function):
        raise ModelFailed(f"{engine.path} has no function {engine.function!r}")
    return function


def explain(error: BaseException, folder: Path) -> str:
    """Say in one line what a model raised, and where in its own code."""
    if isinstance(error, SystemExit):
        text = f"called sys.exit({error.code!r})"
    else:
        text = f"{type(error).__name__}: {_text_of(error)}".removesuffix(": ")
    frame = next(
        (frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if _inside(frame, folder)), None
    )
    place = "" if frame is None else f" ({Path(frame.filename).relative_to(folder)}, line {frame.lineno})"
    return text[:_SHOWN_TEXT] + place


def print_traceback(error: BaseException, folder: Path) -> None:
    """Print what a model raised to its standard error, from its own first frame on."""
    trace = error.__traceback__
    while trace is not None and not _is_inside(trace.tb_frame.f_code.co_filename, folder):
        trace = trace.tb_next
    if sys.__stderr__ is not None:  # the first one: a model may have put another in its place
        with suppress(OSError, ValueError):
            sys.__stderr__.write("".join(traceback.format_exception(type(error), error, trace, limit=_SHOWN_FRAMES)))


def _load_module(folder: Path, path: str) -> ModuleType:
    """Import a file under its dotted name, so that its neighbours find it as `import` would; once for all nodes."""
    name = path.removesuffix(".py").replace("/", ".")
    present = sys.modules.get(name)
    if present is not None:
        if getattr(present, "__file__", None) == str(folder / path):
            return present
        name = f"livecalc-model.{name}"
    spec = importlib.util.spec_from_file_location(name, folder / path)
    if spec is None or spec.loader is None:
        raise ModelFailed(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # a model may raise anything, SystemExit too, and it ends here as its failure
        print_traceback(error, folder)
        raise ModelFailed(f"{path} cannot be imported: {explain(error, folder)}") from error
    return module


def _text_of(error: BaseException) -> str:
    try:
        text = str(error).encode(errors="backslashreplace").decode()  # lone surrogates are no text that JSON can hold
        return " ".join(text.split())
    except Exception:  # noqa: BLE001  (a model's own __str__ may raise anything; the type's name must do)
        return ""


def _inside(frame: traceback.FrameSummary, folder: Path) -> bool:
    return _is_inside(frame.filename, folder)


def _is_inside(filename: str, folder: Path) -> bool:
    return filename.startswith(f"{folder}/")
