"""The guard of a process that runs a model: waits for its end or brings it about, and leaves nothing of it running.

It adopts what the model orphans, so that forks, daemons and their sessions are all below it, and only they are.
"""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Guard:
    """Made before the fork, used by the parent after it."""

    def __init__(self) -> None:
        self._wake, bell = os.pipe()
        os.set_blocking(bell, False)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, _note)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def watch(self, child: int, lifeline: int) -> int:
        """Return the child's exit status (-n for signal n) once neither it nor anything it started runs any more.

        The child is ended by SIGTERM to this process, and when the other end of the pipe `lifeline` is closed.
        """
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.register(lifeline, 0)  # no event but POLLHUP
        while (status := _reap(child)) is None:
            for descriptor, _ in poller.poll():
                if descriptor == lifeline:
                    poller.unregister(lifeline)
                    os.kill(child, signal.SIGKILL)
                elif signal.SIGTERM in os.read(self._wake, 4096):
                    os.kill(child, signal.SIGKILL)
        _end_all(child)
        return status


def leave_guard(guard: int) -> None:
    """In the child: forget the guard's signals, die with it (`guard` is its pid), and lead a session of one's own."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)  # it was killed before its death could be a signal
    os.setsid()


def _note(_number: int, _frame: object) -> None:
    """Take a signal: it has rung the wakeup pipe, and must not end the guard."""


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere killing the child's process group must do."""
    from ctypes import CDLL

    with suppress(OSError, AttributeError):
        CDLL(None).prctl(option, value, 0, 0, 0)


def _reap(child: int) -> int | None:
    """Collect whoever has ended; the child's exit status when it is among them."""
    found: int | None = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = os.waitstatus_to_exitcode(status)
    return found


def _end_all(group: int) -> None:
    """Kill until no child is left. All are stopped first, so that none can fork away or be replaced by its pid."""
    if not _PROC.exists():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        return
    while _has_children():
        left = _descendants()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        if left:
            os.waitpid(-1, 0)


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _descendants() -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in _processes():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """Each process's id and its parent's."""
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):  # it has ended since
                stat = (folder / "stat").read_text(errors="replace")
                yield int(folder.name), int(stat.rpartition(")")[2].split()[1])
