"""Counters of this process in Prometheus' text format (version 0.0.4)."""

from collections import Counter
from dataclasses import dataclass, field

from livecalc import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Metrics:
    """Counted since the process began."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter[tuple[str, str, int]])
    seconds: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    chores: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request under its route's template, never under the path that was asked for."""
        self.requests[method, route, status] += 1
        self.seconds[method, route] = self.seconds.get((method, route), 0.0) + seconds

    def count_chore(self, chore: str, outcome: str) -> None:
        """Count one thing that the server does by itself, `sweep` or `settling`, as `ok` or `failed`."""
        self.chores[chore, outcome] += 1

    def render(self) -> str:
        """Write all counters."""
        lines = _head("livecalc_build_info", "gauge", "Which version answers.")
        lines.append(f'livecalc_build_info{{version="{__version__}"}} 1')
        lines += _head("livecalc_http_requests_total", "counter", "Requests by route and status.")
        for (method, route, status), count in sorted(self.requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"livecalc_http_requests_total{{{labels}}} {count}")
        lines += _head("livecalc_http_request_seconds_total", "counter", "Time spent in requests, streams included.")
        for (method, route), seconds in sorted(self.seconds.items()):
            lines.append(f'livecalc_http_request_seconds_total{{method="{method}",route="{route}"}} {seconds:.6f}')
        lines += _head("livecalc_chores_total", "counter", "Sweeps and the like of this server by outcome.")
        for (chore, outcome), count in sorted(self.chores.items()):
            lines.append(f'livecalc_chores_total{{chore="{chore}",outcome="{outcome}"}} {count}')
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
