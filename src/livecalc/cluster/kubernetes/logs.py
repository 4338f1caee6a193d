"""A container's log as its kubelet serves it, byte for byte, and the many ways of there being none."""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

from livecalc.cluster.kubernetes.api import Api, Call
from livecalc.cluster.kubernetes.objects import Pod
from livecalc.cluster.kubernetes.pods import pod_record
from livecalc.cluster.kubernetes.retry import words
from livecalc.cluster.kubernetes.targets import Target
from livecalc.cluster.port import ContainerRecord
from livecalc.domain.errors import InvalidInput, NotFound, Unavailable

_SILENCE_SECONDS = 60.0
"""After so long without a byte, the pod is looked at: a connection may be dead without anybody saying so."""


async def read_log(
    api: Api, pod: Target, container: str, *, previous: bool, follow: bool
) -> AsyncGenerator[bytes, None]:
    """Stream a log. Raises as the port says, and Unavailable where it is cut off."""
    target = pod.having("log")
    query = {"container": container, "previous": str(previous).lower(), "follow": str(follow).lower()}
    call = Call(verb="get", target=target, query=query)
    silent = True
    try:
        while True:
            try:
                async with api.stream(call) as content:
                    async for chunk in _chunks(api, target, container, content, follow=follow):
                        silent = False
                        yield chunk
                break
            except TimeoutError:
                if not silent:
                    raise
                # No answer begins before the container prints something.
                await _look(api, target, container)
    except InvalidInput as error:
        # It waits to start, has no such container, or no previous run: 400, and a sentence.
        raise NotFound(f"there is no {target}, container {container}: {error.detail}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"{api.cluster}: {target} broke off ({words(error)})") from None
    if silent:
        await _check_started(api, target, container)


async def _chunks(
    api: Api, target: Target, container: str, content: aiohttp.StreamReader, *, follow: bool
) -> AsyncGenerator[bytes, None]:
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                chunk = await content.readany()
        except TimeoutError:
            if not follow or (await _look(api, target, container)).state != "running":
                raise Unavailable(f"{api.cluster}: {target} goes on without a byte and comes to no end") from None
            continue
        if not chunk:
            return
        yield chunk


async def _check_started(api: Api, target: Target, container: str) -> None:
    """Raise NotFound for a pod that has no node yet, whose log is served as an empty one."""
    found = await _look(api, target, container)
    if found.state == "waiting" and found.previous is None:
        raise NotFound(f"there is no {target}: its container {container} has not started ({found.reason})")


async def _look(api: Api, target: Target, container: str) -> ContainerRecord:
    pod = target.having("")
    record = pod_record((await api.send(Call(verb="get", target=pod))).read(Pod))
    for each in record.containers:
        if each.name == container:
            return each
    raise NotFound(f"there is no container {container} in {pod}")
