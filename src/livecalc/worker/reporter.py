"""Tells the cluster that a worker lives and how far it is, from a thread of its own: the cluster may be slow or away.

Only the newest state counts. A call that fails is remembered for the log, and the next one is made as if it had not.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Self

_BEAT_SECONDS = 300.0
_REPORT_SECONDS = 0.5
_LAST_WAIT_SECONDS = 10.0


class Reporter:
    """Beats at the first post and every 5 minutes; annotates at most twice a second, and at the end what is newest.

    Nothing is done before the first post: to reach the cluster takes imports, which must not delay the engine's.
    """

    def __init__(
        self,
        *,
        heartbeat: Callable[[], None],
        annotate: Callable[[Mapping[str, str]], None],
        beat_seconds: float = _BEAT_SECONDS,
        report_seconds: float = _REPORT_SECONDS,
    ) -> None:
        self._heartbeat = heartbeat
        self._annotate = annotate
        self._beat_seconds = beat_seconds
        self._report_seconds = report_seconds
        self._news: dict[str, str] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._failures: dict[str, tuple[int, str]] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(self, annotations: Mapping[str, str]) -> None:
        """Have annotations set on the pod soon; a newer value of one replaces one that still waits."""
        with self._lock:
            self._news.update(annotations)
        self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="reporter", daemon=True)
            self._thread.start()

    def close(self) -> list[str]:
        """Deliver what still waits, end the thread, and return what failed, a sentence each; once.

        A cluster that does not answer within 10 s is left alone: the thread is a daemon and ends with the process.
        """
        if self._closing.is_set() or self._thread is None:
            return []
        self._closing.set()
        self._wake.set()
        self._thread.join(_LAST_WAIT_SECONDS)
        failures = [
            f"{count} {what}{'s' if count > 1 else ''} failed, the last: {reason}"
            for what, (count, reason) in self._failures.items()
        ]
        return [*failures, "the cluster did not answer in time"] if self._thread.is_alive() else failures

    def _work(self) -> None:
        next_beat = next_report = time.monotonic()
        closing = False
        while not closing:
            if self._wake.wait(_seconds_to(next_beat)):
                self._closing.wait(_seconds_to(next_report))
            self._wake.clear()
            closing = self._closing.is_set()
            with self._lock:
                news, self._news = self._news, {}
            if not closing and not _seconds_to(next_beat):
                next_beat = time.monotonic() + self._beat_seconds
                self._try("heartbeat", self._heartbeat)
            if news:
                self._try("annotation", partial(self._annotate, news))
                next_report = time.monotonic() + self._report_seconds

    def _try(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  (whatever ails the cluster, the work goes on)
            count, _ = self._failures.get(what, (0, ""))
            self._failures[what] = (count + 1, str(error) or type(error).__name__)


def _seconds_to(moment: float) -> float:
    return max(0.0, moment - time.monotonic())
