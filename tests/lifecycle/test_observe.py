"""Looking at the cluster before planning: only at the pods that matter, and what was not seen is not certain."""

from datetime import UTC, datetime, timedelta

import pytest
from lifecycle.stage import Stage, utc_now
from lifecycle.taps import Broken, tap

from livecalc.domain.errors import Unavailable
from livecalc.domain.namespaces import LAST_ACTIVITY
from livecalc.lifecycle.observe import observe
from livecalc.lifecycle.plan import SweepPolicy

pytestmark = pytest.mark.anyio


async def test_pods_are_listed_only_where_they_decide(stage: Stage) -> None:
    await stage.namespace("fresh")
    await stage.finalized("done")
    await stage.namespace("idle", idle=timedelta(hours=30))
    asked: list[str] = []
    cluster = tap(stage.cluster, lambda call, args: asked.append(str(args[0])) if call == "list_pods" else None)
    seen = await observe(cluster, SweepPolicy(), utc_now)
    assert asked == ["livecalc-bucket-idle"]
    assert {each.record.bucket_id: each.busy for each in seen.namespaces} == {"done": None, "fresh": None, "idle": 0}
    asked.clear()
    await observe(cluster, SweepPolicy(), utc_now, every_pod=True)
    assert len(asked) == 3


async def test_looking_stops_when_enough_is_found(stage: Stage) -> None:
    for number in range(20):
        await stage.namespace(f"idle-{number:02}", idle=timedelta(hours=30 + number))
    seen = await observe(stage.cluster, SweepPolicy(max_reaps=3), utc_now)
    looked_at = [each.record.bucket_id for each in seen.namespaces if each.busy is not None]
    assert looked_at == [f"idle-{number:02}" for number in range(4, 20)]


async def test_pods_that_cannot_be_listed_keep_their_namespace(stage: Stage) -> None:
    await stage.namespace("idle", idle=timedelta(hours=30))
    cut = Broken(lambda: Unavailable("no answer"), lambda call, _: call == "list_pods")
    report = await stage.with_parts(cluster=cut.wrap(stage.cluster)).reaper().sweep()
    assert (report.successful, report.failed, report.clean) == (0, 0, False)
    assert report.problems == ("pods of livecalc-bucket-idle could not be listed, so it is kept: no answer",)
    assert not await stage.is_gone("livecalc-bucket-idle")


async def test_a_cluster_that_does_not_answer_is_an_error(stage: Stage) -> None:
    cut = Broken(lambda: Unavailable("no answer"), lambda call, _: call == "list_namespaces")
    with pytest.raises(Unavailable):
        await stage.with_parts(cluster=cut.wrap(stage.cluster)).reaper().sweep()


async def test_an_own_clock_that_is_wrong_reaps_nothing_idle(stage: Stage) -> None:
    idle, done = await stage.namespace("idle", idle=timedelta(hours=30)), await stage.finalized("done")
    report = await stage.reaper(now=lambda: datetime(2020, 1, 1, tzinfo=UTC)).sweep()
    assert (report.successful, report.clean) == (1, False)
    assert await stage.is_gone(done.name)
    assert not await stage.is_gone(idle.name)


async def test_an_unknown_timer_is_started_again(stage: Stage) -> None:
    record = await stage.namespace("b")
    await stage.annotate(record, {LAST_ACTIVITY: "long ago"})
    report = await stage.reaper().sweep()
    assert (report.stamped, report.successful, report.clean) == (1, 0, True)
    stamped = (await stage.local.get_namespace(record.name)).last_activity
    assert stamped is not None
    assert abs(stamped - await stage.cluster.now()) < timedelta(minutes=1)
    assert (await stage.reaper().sweep()).stamped == 0
