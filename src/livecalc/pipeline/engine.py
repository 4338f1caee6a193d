"""The engine's process, `python -m livecalc.pipeline.engine ORDER_FD CONTROL_FD`; `run.Engine` starts it.

It forks before it imports anything heavy: the child computes and runs the model, the parent guards it.
"""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from livecalc.pipeline.guard import Guard, leave_guard

if TYPE_CHECKING:
    from livecalc.pipeline.messages import Message, Order

_RESERVE = 64 << 20
"""Bytes of the memory limit that are left to the worker and the guard."""


def main() -> NoReturn:
    """Fork, guard the child, and say when nothing of it is left. Ends with the process."""
    order, control = int(sys.argv[1]), int(sys.argv[2])
    for descriptor in (order, control):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  (its only form)
    guard, pid = Guard(), os.getpid()
    child = os.fork()
    if child == 0:
        _be_child(pid, order, control)
    status = guard.watch(child, order)
    with suppress(BrokenPipeError):
        os.write(control, b'\n{"type":"ended","status":%d}\n' % status)
    os._exit(0)


def _be_child(guard: int, order: int, control: int) -> NoReturn:
    """Serve one order, and end without what a model may have left to run at exit."""
    try:
        leave_guard(guard)
        _serve(order, control)
    except BaseException as error:  # noqa: BLE001  (the last words before os._exit; they go to the log)
        sys.excepthook(type(error), error, error.__traceback__)
        os._exit(1)
    os._exit(0)


def _serve(order_pipe: int, control: int) -> None:
    """Compute the order that comes down the pipe. NumPy is imported while it is on its way."""
    from livecalc.pipeline.calculation import calculate
    from livecalc.pipeline.messages import Broken, Loading, decode_order, encode

    def say(message: "Message") -> None:
        line = encode(message)
        while line:
            line = line[os.write(control, line) :]

    with os.fdopen(order_pipe, "rb", buffering=0) as pipe:
        path = os.fsdecode(pipe.readline().removesuffix(b"\n"))
    if not path:
        return  # whoever started us is gone
    order = decode_order(Path(path).read_bytes())
    memory = _limit_memory(order.memory)
    _welcome_model(order)
    say(Loading())
    outcome: Message
    try:
        outcome = calculate(order, memory, say)
    except OSError as error:
        outcome = Broken(error=f"the engine could not go on: {error}")
    _flush()
    say(outcome)


def _flush() -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with suppress(OSError, ValueError):  # the model has closed it
                stream.flush()


def _limit_memory(memory: int | None) -> int:
    """Bound the data this process may allocate, so that too much is a MemoryError; return the bytes people are told."""
    import resource

    limit = memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    usable = max(limit - _RESERVE, limit // 2)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        usable = min(usable, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (usable, usable))
    return limit


def _welcome_model(order: "Order") -> None:
    """Let model code import its neighbours, print line by line whatever its text, and write nothing into its bundle."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, order.folder)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


if __name__ == "__main__":
    main()
