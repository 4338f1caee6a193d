"""What an engine says on its control pipe, and what its end means."""

import signal
from collections.abc import Callable
from pathlib import Path

from livecalc.pipeline.messages import Broken, Calling, Ended, Failed, Finished, Loading, Message, Progress, decode
from livecalc.pipeline.outcome import Outcome

_OUT_OF_MEMORY = "most often because the machine or the pod ran out of memory"


class Hearing:
    """Takes the pipe's bytes as they come; knows the outcome once the engine has ended."""

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self._rest = b""
        self._loaded = False
        self._calling: Calling | None = None
        self._result: Finished | Failed | Broken | None = None
        self._end: Ended | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of the model runs any more."""
        return self._end is not None

    def feed(self, data: bytes) -> None:
        """Take what was read; a line that is no message was cut by a kill, and is dropped."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for message in filter(None, map(decode, filter(None, lines))):
            self._take(message)

    def outcome(self, *, asked: bool) -> Outcome:
        """Say how it ended, without its times; `asked` tells that it was to stop."""
        result = self._result
        if isinstance(result, Finished):
            return Outcome(
                state="succeeded",
                outputs=result.outputs,
                arrays={address: Path(path) for address, path in result.files.items()},
                nodes=result.nodes,
                environment=result.environment,
            )
        if isinstance(result, Failed):
            return Outcome(
                state="failed",
                error=result.error,
                violations=result.violations,
                nodes=result.nodes,
                environment=result.environment,
            )
        if asked:
            return Outcome(state="interrupted", error="stopped before it was done")
        if isinstance(result, Broken):
            return Outcome(state="lost", error=result.error)
        return self._unannounced()

    def _take(self, message: Message) -> None:
        if isinstance(message, Loading):
            self._loaded = True
        elif isinstance(message, Calling):
            self._calling = message
        elif isinstance(message, Progress):
            self._on_progress(message.done)
        elif isinstance(message, Ended):
            self._end = message
        else:
            self._result = message

    def _unannounced(self) -> Outcome:
        """The process is gone and had not said why."""
        if self._end is None:
            return Outcome(state="lost", error=f"the engine vanished, {_OUT_OF_MEMORY}")
        status = self._end.status
        if status == -signal.SIGKILL:
            error = f"{self._place()}the model's process was killed (SIGKILL), {_OUT_OF_MEMORY}"
            return Outcome(state="lost", error=error)
        if not self._loaded:
            return Outcome(state="lost", error=f"the engine did not start ({_status_text(status)}): see the log")
        how = "crashed" if status < 0 else "ended its own process instead of returning"
        return Outcome(state="failed", error=f"{self._place()}the model {how} ({_status_text(status)})")

    def _place(self) -> str:
        calling = self._calling
        if calling is None:
            return "while it was loaded: " if self._loaded else ""
        return f"node {calling.node!r}, scenarios {calling.first}-{calling.stop - 1}: "


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
