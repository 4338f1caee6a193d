"""Counters and gauges of this process by name, in Prometheus' text format (version 0.0.4)."""

import threading
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Kind = Literal["counter", "gauge"]
Labels = tuple[tuple[str, str], ...]


class Metric:
    """One name, and a value for each set of labels. Safe to use from threads."""

    def __init__(self, name: str, kind: Kind, text: str) -> None:
        self.name = name
        self._kind = kind
        self._text = text
        self._values: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count up (a gauge also down)."""
        key = tuple(sorted(labels.items()))
        with self._lock:
            self._values[key] = self._values.get(key, 0) + amount

    def set(self, value: float, **labels: str) -> None:
        """Say what a gauge reads now."""
        with self._lock:
            self._values[tuple(sorted(labels.items()))] = value

    def value(self, **labels: str) -> float:
        """What stands there now; 0 for what was never counted."""
        with self._lock:
            return self._values.get(tuple(sorted(labels.items())), 0)

    def render(self) -> list[str]:
        """The lines of this metric, by labels."""
        with self._lock:
            values = sorted(self._values.items())
        head = [f"# HELP {self.name} {self._text}", f"# TYPE {self.name} {self._kind}"]
        return [*head, *(f"{self.name}{_write_labels(labels)} {value:.15g}" for labels, value in values)]


class Registry(Struct, frozen=True):
    """Metrics by name."""

    metrics: Mapping[str, Metric]

    def render(self) -> str:
        """All metrics as text."""
        return "".join(f"{line}\n" for name in sorted(self.metrics) for line in self.metrics[name].render())


def register(*metrics: Metric) -> Registry:
    """Gather metrics under their names."""
    return Registry({metric.name: metric for metric in metrics})


def _write_labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}" if labels else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


REAPS = Metric("livecalc_reaps_total", "counter", "Namespaces reaped by this process, by result.")
ARCHIVED_BYTES = Metric("livecalc_archived_bytes_total", "counter", "Bytes in archives that this process proved.")
PROCESS = register(REAPS, ARCHIVED_BYTES)
"""What the lifecycle counts in this process."""
