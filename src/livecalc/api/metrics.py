"""What this server counts of its requests and chores, and all that its process counts, as `/metrics` says it."""

from livecalc import __version__
from livecalc.telemetry.metrics import PROCESS, Metric, register

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counted since the server began."""

    def __init__(self) -> None:
        self._version = Metric("livecalc_build_info", "gauge", "Which version answers.")
        self._version.set(1, version=__version__)
        self._requests = Metric("livecalc_http_requests_total", "counter", "Requests by route and status.")
        self._seconds = Metric(
            "livecalc_http_request_seconds_total", "counter", "Time spent in requests, streams included."
        )
        self._chores = Metric("livecalc_chores_total", "counter", "Sweeps and the like of this server by outcome.")

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request under its route's template, never under the path that was asked for."""
        self._requests.add(method=method, route=route, status=str(status))
        self._seconds.add(seconds, method=method, route=route)

    def count_chore(self, chore: str, outcome: str) -> None:
        """Count one thing that the server does by itself, `sweep` or `settling`, as `ok` or `failed`."""
        self._chores.add(chore=chore, outcome=outcome)

    def render(self) -> str:
        """Write all metrics of the server, and of its process."""
        own = (self._version, self._requests, self._seconds, self._chores)
        return register(*own, *PROCESS.metrics.values()).render()
