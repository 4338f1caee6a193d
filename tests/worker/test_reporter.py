"""The reporter: few calls, the newest state, and no harm from a cluster that fails."""

import threading
from collections.abc import Mapping

from support.processes import until

from livecalc.worker.reporter import Reporter


class Cluster:
    """Remembers calls; while `held`, a call waits."""

    def __init__(self, *, fails: bool = False) -> None:
        self.beats = 0
        self.annotations: list[dict[str, str]] = []
        self.open = threading.Event()
        self.open.set()
        self._fails = fails

    def heartbeat(self) -> None:
        self.beats += 1
        self._answer()

    def annotate(self, annotations: Mapping[str, str]) -> None:
        self.annotations.append(dict(annotations))
        self._answer()

    def _answer(self) -> None:
        self.open.wait(20)
        if self._fails:
            raise OSError("away")


def report_on(cluster: Cluster, *, beat: float = 300.0, report: float = 0.5) -> Reporter:
    return Reporter(heartbeat=cluster.heartbeat, annotate=cluster.annotate, beat_seconds=beat, report_seconds=report)


def test_nothing_is_said_before_there_is_news() -> None:
    cluster = Cluster()
    assert report_on(cluster).close() == []
    assert (cluster.beats, cluster.annotations) == (0, [])


def test_many_posts_are_few_calls_and_the_last_one_counts() -> None:
    cluster = Cluster()
    reporter = report_on(cluster, report=300)
    for done in range(1000):
        reporter.post({"progress": str(done)})
    assert reporter.close() == []
    assert cluster.annotations[-1] == {"progress": "999"}
    assert len(cluster.annotations) <= 2
    assert cluster.beats == 1


def test_news_of_two_kinds_wait_together() -> None:
    cluster = Cluster()
    cluster.open.clear()
    reporter = report_on(cluster, report=300)
    reporter.post({"progress": "1"})
    until(lambda: cluster.beats)
    reporter.post({"progress": "2"})
    reporter.post({"violations": "x"})
    cluster.open.set()
    reporter.close()
    assert {key: value for call in cluster.annotations for key, value in call.items()} == {
        "progress": "2",
        "violations": "x",
    }


def test_it_beats_again_after_a_while_without_news() -> None:
    cluster = Cluster()
    with report_on(cluster, beat=0.05) as reporter:
        reporter.post({"progress": "1"})
        until(lambda: cluster.beats >= 3)


def test_it_reports_while_it_works() -> None:
    cluster = Cluster()
    with report_on(cluster, report=0.02) as reporter:
        for done in range(3):
            reporter.post({"progress": str(done)})
            until(lambda done=done: {"progress": str(done)} in cluster.annotations)


def test_failures_are_counted_and_told() -> None:
    cluster = Cluster(fails=True)
    reporter = report_on(cluster, report=0)
    for done in range(2):
        reporter.post({"progress": str(done)})
        until(lambda done=done: {"progress": str(done)} in cluster.annotations)
    assert reporter.close() == [
        "1 heartbeat failed, the last: away",
        "2 annotations failed, the last: away",
    ]
    assert reporter.close() == []
