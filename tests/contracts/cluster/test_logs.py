"""What every cluster must do with logs: as the container printed them, followed to its end, gone with the pod."""

from asyncio import gather

import pytest
from contracts.cluster_harness import Place, new_name

from livecalc.domain.errors import NotFound

pytestmark = pytest.mark.anyio


async def test_a_log_holds_both_streams_byte_for_byte(place: Place) -> None:
    await place.run(r"printf 'out\n'; printf 'err\n' >&2; printf '\000\377\r\n'; printf 'no end of line'")
    await place.finished()
    (pod,) = await place.pods()

    assert await place.log(pod.name) == b"out\nerr\n\x00\xff\r\nno end of line"
    assert await place.log(pod.name, follow=True) == b"out\nerr\n\x00\xff\r\nno end of line"


async def test_a_log_can_be_read_while_the_container_runs(place: Place) -> None:
    await place.run("echo one; sleep 300")
    (pod,) = await place.running()

    assert await place.soon(lambda: place.log(pod.name)) == b"one\n"


async def test_a_silent_container_has_an_empty_log(place: Place) -> None:
    await place.run("exit 0")
    await place.finished()
    (pod,) = await place.pods()

    assert await place.log(pod.name) == b""


async def test_following_ends_with_the_container(place: Place) -> None:
    await place.run("for n in 1 2 3 4 5; do echo $n; sleep 0.1; done")
    (pod,) = await place.running()

    assert await place.log(pod.name, follow=True) == b"1\n2\n3\n4\n5\n"
    assert (await place.ended(pod.name)).phase == "Succeeded"


async def test_following_ends_when_the_namespace_goes(place: Place) -> None:
    await place.run("trap '' TERM; echo here; while :; do sleep 0.1; done")
    (pod,) = await place.running()
    await place.soon(lambda: place.log(pod.name))

    printed, _ = await gather(place.log(pod.name, follow=True), place.delete())

    assert printed.startswith(b"here\n")
    await place.soon(place.is_gone)


async def test_a_log_of_some_size_is_whole(place: Place) -> None:
    await place.run("head -c 3000000 /dev/zero | tr '\\0' x | fold -w 99")
    await place.finished()
    (pod,) = await place.pods()

    log = await place.log(pod.name)

    assert log.replace(b"\n", b"") == b"x" * 3_000_000


async def test_what_is_not_there_is_not_found(place: Place) -> None:
    await place.run("echo here")
    await place.finished()
    (pod,) = await place.pods()

    with pytest.raises(NotFound):
        await place.log("absent")
    with pytest.raises(NotFound):
        await anext(aiter(place.cluster.read_log(new_name(), pod.name)))
    with pytest.raises(NotFound):
        await anext(aiter(place.cluster.read_log(place.name, pod.name, "sidecar")))
    with pytest.raises(NotFound):
        await anext(aiter(place.cluster.read_log(place.name, pod.name, previous=True)))


async def test_a_log_goes_with_its_pod(place: Place) -> None:
    await place.run("echo here")
    await place.finished()
    (pod,) = await place.pods()

    await place.delete()
    await place.soon(place.is_gone)

    with pytest.raises(NotFound):
        await place.log(pod.name)


async def test_a_container_that_has_not_started_has_no_log(place: Place) -> None:
    await place.run("sleep 300", partitions=place.cluster.slots + 40)
    waiting = await place.soon(lambda: _waiting(place))

    with pytest.raises(NotFound):
        await place.log(waiting)


async def _waiting(place: Place) -> str:
    await place.running()
    return next((pod.name for pod in await place.pods() if pod.phase == "Pending"), "")
