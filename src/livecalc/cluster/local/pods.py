"""A pod as a process: started in a session of its own, stopped, and seen to its end with all that it left running.

The node, which has one thread only, is the parent; when it dies, the kernel kills the pod's main process.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Generator
from typing import NamedTuple, NoReturn

from livecalc.cluster.local import processes
from livecalc.cluster.local.environment import clean_environment
from livecalc.cluster.local.home import PodFolder
from livecalc.cluster.local.logs import LogFile
from livecalc.cluster.local.removal import remove_tree
from livecalc.cluster.local.settings import NodeSettings
from livecalc.cluster.local.store import Row

MESSAGE_BYTES = 4096
START_ERROR = 128
"""The exit code of a container whose command could not be started, as containerd reports it."""
KILLED = 128 + signal.SIGKILL

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PIPE_BYTES = 1 << 20
_DYING_SECONDS = 0.1
"""The kernel may take its time over a killed process."""
_READ_BYTES = 1 << 20
_RESTORED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD),
)
"""Signals that Python, the node or whoever started it may have set otherwise."""
_libc = ctypes.CDLL(None)


class End(NamedTuple):
    """How a pod's main process ended."""

    exit_code: int
    reason: str
    message: str


class RunningPod:
    """A pod whose main process is this process's child."""

    def __init__(self, row: Row, folder: PodFolder, settings: NodeSettings) -> None:
        """Start the command. Raises OSError when it cannot be started."""
        template = json.loads(row["command"])
        self.uid: str = row["uid"]
        self.memory: int = template["memory"]
        self.folder = folder
        self.out_of_memory = False
        self._settings = settings
        self._kill_at: float | None = None
        folder.path.mkdir(mode=0o700)
        folder.scratch.mkdir(mode=0o700)
        with contextlib.ExitStack() as undo:
            self.log = LogFile(folder.log, settings.log_bytes, settings.log_files)
            undo.callback(self.log.close)
            self.output, write_end = _pipe()
            undo.callback(os.close, self.output)
            with _closing(write_end), _closing(_locked(folder)) as lock:
                self.pid = _start(template["command"], _environment(row, template, folder), folder, write_end, lock)
            undo.pop_all()

    def pump(self) -> bool:
        """Move what the pod printed to its log; False when nothing more will come."""
        try:
            data = os.read(self.output, _READ_BYTES)
        except BlockingIOError:
            return True
        self.log.write(data)
        return bool(data)

    def stop(self) -> bool:
        """Ask the pod to end, and tell whether that is new; `press` kills it when the grace period is over."""
        if self._kill_at is not None:
            return False
        self._kill_at = time.monotonic() + self._settings.grace_seconds
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        return True

    def press(self) -> float | None:
        """Kill the pod if it had its grace period; when to ask again in seconds, None when it was not stopped."""
        if self._kill_at is None:
            return None
        left = self._kill_at - time.monotonic()
        if left > 0:
            return left
        processes.kill(self.pid)
        return _DYING_SECONDS

    def check_memory(self, adopted: list[int]) -> float:
        """Kill the pod if it and the orphans it left have more memory than it may; the answer is the share it has."""
        used = processes.memory_of(self.pid, adopted, self.memory)
        if used > self.memory and not self.out_of_memory:
            self.out_of_memory = True
            processes.kill(self.pid)
        return used / self.memory

    def finish(self, status: int) -> End:
        """Take down what the main process left, keep its last words, and let go. `status` is waitpid's."""
        processes.kill_marked([self.uid])
        if not is_let_go(self.folder):
            processes.kill_holders(self.folder.lock)
        self._drain()
        os.close(self.output)
        self.log.close()
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        reason = "OOMKilled" if self.out_of_memory else "Error" if code else "Completed"
        return End(KILLED if self.out_of_memory else code, reason, last_words(self.folder))

    def _drain(self) -> None:
        """Read what is still in the pipe, but not for ever: something alive may hold its other end and write on."""
        for _ in range(2 * _PIPE_BYTES // select.PIPE_BUF):
            try:
                data = os.read(self.output, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            self.log.write(data)


def adopt_orphans() -> None:
    """Become the parent of whatever pods leave behind, so that it can be found, killed and reaped."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def last_words(folder: PodFolder) -> str:
    """The end of a pod's termination message, as a kubelet reads it; empty when there is none."""
    try:
        file = os.open(folder.termination, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            return ""
        data = os.pread(file, MESSAGE_BYTES, max(0, found.st_size - MESSAGE_BYTES))
    finally:
        os.close(file)
    text = data.decode(errors="replace")
    return text.encode()[-MESSAGE_BYTES:].decode(errors="ignore")


def is_let_go(folder: PodFolder) -> bool:
    """Tell whether no process holds the lock that all of a pod's processes inherit."""
    try:
        lock = os.open(folder.lock, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def remove_scratch(folder: PodFolder) -> None:
    """Remove the folder that goes when the pod has ended; what cannot be removed now goes with the pod."""
    with contextlib.suppress(OSError):
        remove_tree(folder.scratch)


def _pipe() -> tuple[int, int]:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read_end, write_end


@contextlib.contextmanager
def _closing(file: int) -> Generator[int]:
    try:
        yield file
    finally:
        os.close(file)


def _locked(folder: PodFolder) -> int:
    lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _environment(row: Row, template: dict[str, dict[str, str]], folder: PodFolder) -> dict[str, str]:
    index = {} if row["position"] is None else {"JOB_COMPLETION_INDEX": str(row["position"])}
    return {
        **clean_environment(),
        **template["env"],
        **template["secret"],
        **index,
        "LIVECALC_ATTEMPT": str(row["attempt"]),
        "LIVECALC_NAMESPACE": row["namespace"],
        "LIVECALC_POD_NAME": row["name"],
        processes.POD_UID: row["uid"],
        "LIVECALC_TERMINATION_MESSAGE": str(folder.termination),
        "LIVECALC_SCRATCH": str(folder.scratch),
    }


def _start(command: list[str], environment: dict[str, str], folder: PodFolder, output: int, lock: int) -> int:
    """Fork and execute; an error of the child comes back through a pipe that its success closes."""
    report, report_end = os.pipe()
    node = os.getpid()
    with open(report, "rb") as file:  # noqa: PTH123  (a descriptor)
        with _closing(report_end):
            pid = os.fork()
            if pid == 0:
                _become(command, environment, folder, (output, lock, report_end), node)
        number, _, what = file.read().partition(b" ")
    if number:
        os.waitpid(pid, 0)
        raise OSError(int(number), what.decode())
    return pid


def _become(
    command: list[str], environment: dict[str, str], folder: PodFolder, files: tuple[int, int, int], node: int
) -> NoReturn:
    """In the child: turn into the pod's main process."""
    output, lock, report = files
    try:
        os.setsid()
        _die_with(node)
        _restore_signals()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.set_inheritable(lock, True)  # noqa: FBT003  (the signature is the standard library's)
        os.chdir(folder.scratch)
        os.execvpe(command[0], command, environment)  # noqa: S606  (running it is what a pod is)
    except OSError as error:
        os.write(report, f"{error.errno} exec {command[0]}: {error.strerror}".encode())
    except ValueError as error:
        os.write(report, f"{errno.EINVAL} exec {command[0]}: {error}".encode())
    finally:
        os._exit(127)


def _die_with(node: int) -> None:
    """Have the kernel kill this process when the node dies; if it died before, die now."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:  # noqa: PTH123  (no Path in a forked child)
            # When the machine runs out of memory, a pod goes and not the node.
            file.write(b"500")
    if os.getppid() != node:
        os._exit(KILLED)


def _restore_signals() -> None:
    """Undo what Python and the node set for themselves and exec would keep."""
    signal.set_wakeup_fd(-1)
    for number in _RESTORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
