"""The node's loop: look at the rows, act, sleep until a bell, a child or a time. One thread, so that it may fork."""

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import sys
import time

from livecalc.cluster.local import jobs, processes, scheduling
from livecalc.cluster.local.clock import cluster_time
from livecalc.cluster.local.home import Home
from livecalc.cluster.local.pending import is_pending
from livecalc.cluster.local.pods import START_ERROR, End, RunningPod, is_let_go, remove_scratch
from livecalc.cluster.local.settings import NodeSettings
from livecalc.cluster.local.store import Row, Store
from livecalc.cluster.local.terminate import close_if_empty, note_blockers, release_claims, terminating_namespaces
from livecalc.cluster.local.volumes import provision_claims, reclaim_volumes
from livecalc.domain.errors import Damaged, LivecalcError

_LOOK_SECONDS = 1.0
"""Between two looks at the rows when nothing calls."""
_MEMORY_SECONDS = 0.1
_TIGHT_SECONDS = 0.02
_TIGHT_SHARE = 0.5
"""A pod that has more than this share of its memory is measured more often."""
_LOST_SECONDS = 0.05


class Node:
    """The node of one home, while it holds the lock."""

    def __init__(self, home: Home, settings: NodeSettings, lock: int) -> None:
        """Open the database, and kill what the pods of a dead node left running. Raises LivecalcError, OSError."""
        self._home = home
        self._settings = settings
        self._lock = lock
        self._store = Store(home)
        self._identity = home.database.stat().st_ino
        self._name = os.uname().nodename
        self._running: dict[int, RunningPod] = {}
        self._ended: list[tuple[str, End]] = []
        self._lost = set(scheduling.running_uids(self._store))
        self._version: int = -1
        self._woken: bool = True
        self._look_at = 0.0
        self._busy_at = time.monotonic()
        self._pressure = 0.0
        self._trouble = ""
        self._selector = selectors.DefaultSelector()
        self._wake = self._listen()
        processes.kill_marked(self._lost)

    def run(self) -> None:
        """Work until there is nothing left to do. Raises Damaged, when the database is or was taken away."""
        try:
            while not self._leave():
                try:
                    self._turn()
                    self._trouble = ""
                except Damaged:
                    raise
                except LivecalcError as error:
                    self._put_off(error)
                self._wait()
        finally:
            self._kill_all()

    def _put_off(self, error: LivecalcError) -> None:
        """Try again later what the disk does not allow now; what runs goes on, and its end is not forgotten."""
        if error.detail != self._trouble:
            note(error.detail)
        self._trouble = error.detail
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def _listen(self) -> socket.socket:
        """Hear the bell that clients ring, and the end of children."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._home.bell, 0o600)
        bell = os.open(self._home.bell, os.O_RDWR | os.O_NONBLOCK)
        woken, wake = socket.socketpair()
        woken.settimeout(0)
        wake.settimeout(0)
        signal.signal(signal.SIGCHLD, _wake_up)
        signal.signal(signal.SIGTERM, _end)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(bell, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        return wake

    def _turn(self) -> None:
        self._reap()
        self._watch_memory()
        for pod in self._running.values():
            pod.press()
        self._record_ends()
        version = self._store.data_version()
        late = time.monotonic() >= self._look_at
        if self._woken or self._lost or late or version != self._version:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._look(cluster_time())
            self._woken, self._version = False, version

    def _look(self, now: float) -> None:
        """One pass over what the rows ask for."""
        self._check_home()
        self._find_lost(now)
        jobs.enforce_deadlines(self._store, now)
        self._stop_pods(now)
        provision_claims(self._store, now)
        scheduling.remove_pods(self._store, now)
        self._end_namespaces(now)
        reclaim_volumes(self._store, now)
        self._start_pods(now)
        self._plan(now)

    def _check_home(self) -> None:
        try:
            same = self._home.database.stat().st_ino == self._identity
        except FileNotFoundError:
            same = False
        if not same:
            raise Damaged(f"{self._home.database} was taken away while its node ran")

    def _plan(self, now: float) -> None:
        """Look again when the next time comes that a row names."""
        with self._store.read() as db:
            times = jobs.next_times(db, now)
            if is_pending(db, now):
                self._busy_at = time.monotonic()
        if self._ended:
            times.append(now)
        for moment in times:
            self._look_at = min(self._look_at, time.monotonic() + max(0.0, moment - now))

    def _start_pods(self, now: float) -> None:
        free = self._settings.slots - len(self._running) - len(self._lost)
        for row in scheduling.take_pods(self._store, free, self._name, now):
            self._start(row)

    def _start(self, row: Row) -> None:
        try:
            pod = RunningPod(row, self._home.pod(row["uid"]), self._settings)
        except OSError as error:
            self._ended.append((row["uid"], End(START_ERROR, "StartError", error.strerror or str(error))))
            return
        self._running[pod.pid] = pod
        self._selector.register(pod.output, selectors.EVENT_READ, pod)

    def _stop_pods(self, now: float) -> None:
        by_uid = {pod.uid: pod for pod in self._running.values()}
        for row in scheduling.pods_to_stop(self._store):
            pod = by_uid.get(row["uid"])
            if pod is not None and pod.stop():
                scheduling.record_stop(self._store, row, self._settings.grace_seconds, now)

    def _end_namespaces(self, now: float) -> None:
        with self._store.read() as db:
            names = terminating_namespaces(db, now)
        for name in names:
            with self._store.write() as db:
                release_claims(db, name)
            reclaim_volumes(self._store, now)
            with self._store.write() as db:
                if not close_if_empty(db, name):
                    note_blockers(db, name, now)

    def _reap(self) -> None:
        while ended := processes.reap(self._running):
            pid, status = ended
            pod = self._running.pop(pid, None)
            if pod is not None:
                self._hang_up(pod)
                self._ended.append((pod.uid, pod.finish(status)))
                remove_scratch(pod.folder)

    def _record_ends(self) -> None:
        while self._ended:
            uid, end = self._ended[0]
            with self._store.write() as db:
                scheduling.record_end(db, uid, end, cluster_time(), self._settings.backoff_seconds)
            self._ended.pop(0)
            self._woken = True

    def _find_lost(self, now: float) -> None:
        """Give up the pods of a dead node, each when its last process is gone; none is started again before."""
        for uid in list(self._lost):
            folder = self._home.pod(uid)
            if not is_let_go(folder):
                processes.kill_marked([uid])
                processes.kill_holders(folder.lock)
                continue
            remove_scratch(folder)
            scheduling.record_loss(self._store, uid, now)
            self._lost.discard(uid)

    def _watch_memory(self) -> None:
        orphans: dict[str | None, list[int]] = {}
        for pid in processes.children(os.getpid()):
            if pid not in self._running:
                orphans.setdefault(processes.pod_of(pid), []).append(pid)
        shares = [pod.check_memory(orphans.get(pod.uid, [])) for pod in self._running.values()]
        self._pressure = max(shares, default=0.0)

    def _patience(self) -> float:
        """How long the loop may sleep."""
        now = time.monotonic()
        waits = [self._look_at - now, *(pod.press() for pod in self._running.values())]
        if self._lost:
            waits.append(_LOST_SECONDS)
        if self._running:
            waits.append(_TIGHT_SECONDS if self._pressure > _TIGHT_SHARE else _MEMORY_SECONDS)
        elif not self._ended:
            waits.append(self._busy_at + self._settings.linger_seconds - now)
        return max(0.0, min(wait for wait in waits if wait is not None))

    def _wait(self) -> None:
        """Sleep; what pods print meanwhile goes to their logs without a look at the rows."""
        until = time.monotonic() + self._patience()
        called = False
        while not called:
            for key, _ in self._selector.select(max(0.0, until - time.monotonic())):
                if isinstance(key.data, RunningPod):
                    if not key.data.pump():
                        self._hang_up(key.data)
                else:
                    self._woken = called = True
                    os.read(key.fd, 1 << 16)
            called = called or time.monotonic() >= until

    def _hang_up(self, pod: RunningPod) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pod.output)

    def _leave(self) -> bool:
        """Give up the lock if nothing is to be done.

        It happens inside the transaction that finds this out: whoever commits work later finds the lock free.
        """
        idle = time.monotonic() - self._busy_at
        if self._running or self._ended or self._lost or idle < self._settings.linger_seconds:
            return False
        try:
            with self._store.write() as db:
                if is_pending(db, cluster_time()):
                    self._woken = True
                    return False
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        except LivecalcError as error:
            note(error.detail)
        return True

    def _kill_all(self) -> None:
        """Leave no process behind, whyever this one ends."""
        for pid in processes.children(os.getpid()):
            processes.kill(pid)
        processes.kill_marked(pod.uid for pod in self._running.values())


def note(text: str) -> None:
    """Write a line to the node's log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} node {os.getpid()}: {text}\n")
    sys.stderr.flush()


def _end(_number: int, _frame: object) -> None:
    """Asked to end, as when the machine goes down: take the pods along; the next node tries them again."""
    sys.exit(128 + signal.SIGTERM)


def _wake_up(_number: int, _frame: object) -> None:
    """Nothing: that the signal is handled makes it write to the wakeup descriptor."""
