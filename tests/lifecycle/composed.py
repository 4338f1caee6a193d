"""A wrapper around the local cluster: several of its pods shown as one, as Kubernetes shows a pod's containers.

`worker.setup` of the local cluster is the container `setup` of pod `worker`, and so on; their logs are real ones.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import msgspec

from livecalc.blobs.streams import closing
from livecalc.cluster.port import MAIN_CONTAINER, Cluster, ContainerRecord, PodRecord
from livecalc.domain.errors import NotFound

Kind = Literal["main", "init", "sidecar", "ephemeral"]


@dataclass(frozen=True)
class Part:
    """A local pod that is shown as one run of a container of another."""

    pod: str
    container: str
    source: str
    """The local pod."""
    kind: Kind = "main"
    previous: bool = False


@dataclass
class Composed:
    """`changes` are fields of pods, `containers` of containers by pod and name, that Kubernetes would show."""

    cluster: Cluster
    parts: tuple[Part, ...] = ()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    containers: Mapping[tuple[str, str], Mapping[str, Any]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, Any]]
    )
    hidden: frozenset[str] = frozenset()
    """Pods that are not there any more."""

    def port(self) -> Cluster:
        return cast("Cluster", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    async def list_pods(self, namespace: str) -> list[PodRecord]:
        pods = {pod.name: pod for pod in await self.cluster.list_pods(namespace)}
        sources = {part.source for part in self.parts}
        return [self._show(pod, pods) for name, pod in pods.items() if name not in sources | self.hidden]

    async def read_log(
        self, namespace: str, pod: str, container: str = MAIN_CONTAINER, *, previous: bool = False, follow: bool = False
    ) -> AsyncIterator[bytes]:
        wanted = (pod, container, previous)
        source = next((p.source for p in self.parts if (p.pod, p.container, p.previous) == wanted), None)
        if source is None and (container != MAIN_CONTAINER or previous):
            raise NotFound(f"there is no log of container {container} in pod {pod}")
        async with closing(self.cluster.read_log(namespace, source or pod, follow=follow)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _show(self, pod: PodRecord, pods: Mapping[str, PodRecord]) -> PodRecord:
        shown = {MAIN_CONTAINER: pod.containers[0]}
        for part in self.parts:
            if part.pod == pod.name:
                real = pods[part.source].containers[0]
                if part.previous:
                    was = shown[part.container]
                    shown[part.container] = msgspec.structs.replace(was, previous=real.terminated, restarts=1)
                else:
                    shown[part.container] = msgspec.structs.replace(real, name=part.container, kind=part.kind)
        containers = tuple(self._change(pod.name, each) for each in shown.values())
        return msgspec.structs.replace(pod, containers=containers, **self.changes.get(pod.name, {}))

    def _change(self, pod: str, container: ContainerRecord) -> ContainerRecord:
        return msgspec.structs.replace(container, **self.containers.get((pod, container.name), {}))
