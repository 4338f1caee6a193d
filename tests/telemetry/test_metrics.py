"""Metrics as Prometheus reads them."""

import threading

from livecalc.telemetry.metrics import Metric, register


def test_metrics_are_rendered_by_name_and_label() -> None:
    reaps = Metric("reaps_total", "counter", "Reaps.")
    depth = Metric("depth", "gauge", "Depth.")
    reaps.add(result="ok")
    reaps.add(2, result="failed")
    reaps.add(result="ok")
    depth.set(2.5)
    depth.add(-1)
    assert register(reaps, depth).render() == (
        "# HELP depth Depth.\n# TYPE depth gauge\ndepth 1.5\n"
        "# HELP reaps_total Reaps.\n# TYPE reaps_total counter\n"
        'reaps_total{result="failed"} 2\nreaps_total{result="ok"} 2\n'
    )
    assert reaps.value(result="never") == 0


def test_large_counts_keep_every_digit() -> None:
    metric = Metric("m", "counter", "M.")
    metric.add(123_456_789_012)
    metric.add(0.1 + 0.2, kind="seconds")
    assert metric.render()[2:] == ["m 123456789012", 'm{kind="seconds"} 0.3']


def test_labels_are_escaped() -> None:
    metric = Metric("m", "counter", "M.")
    metric.add(why='a "b"\\\n')
    assert metric.render()[-1] == 'm{why="a \\"b\\"\\\\\\n"} 1'


def test_threads_lose_no_count() -> None:
    metric = Metric("m", "counter", "M.")
    threads = [threading.Thread(target=lambda: [metric.add() for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metric.value() == 8000
