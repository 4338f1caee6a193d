"""Wire the worker inside a pod: grants by the scheme of their URL, heartbeat and annotations to its own cluster.

Imports little: a pod loads no service, no SDK, and the cluster's client only when there is something to say.
"""

import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecalc.domain.errors import InvalidInput, LivecalcError
from livecalc.domain.tasks import GRANTS_ENV

if TYPE_CHECKING:
    from livecalc.blobs.port import GrantClient
    from livecalc.cluster.port import Cluster


def main() -> int:
    """Run the worker that this pod's environment describes; returns the pod's exit code.

    That is `run_worker`'s, or 2 where the environment describes none.
    """
    from livecalc.worker.main import run_worker

    try:
        environ = _Environ(os.environ)
        cell = Cell(environ["LIVECALC_HOME"], environ["LIVECALC_NAMESPACE"], environ["LIVECALC_POD_NAME"])
        return run_worker(
            grant_client,
            task_url=environ[GRANTS_ENV],
            index=_count("JOB_COMPLETION_INDEX", environ["JOB_COMPLETION_INDEX"]),
            attempt=_count("LIVECALC_ATTEMPT", os.environ.get("LIVECALC_ATTEMPT", "0")),
            scratch=Path(environ["LIVECALC_SCRATCH"]),
            termination_file=Path(environ["LIVECALC_TERMINATION_MESSAGE"]),
            heartbeat=cell.heartbeat,
            annotate=cell.annotate,
            image=os.environ.get("WORKER_IMAGE", ""),
        )
    except LivecalcError as error:
        sys.stderr.write(f"Error: {error.detail}\n")
        return 2 if isinstance(error, InvalidInput) else 1


def grant_client(url: str) -> "GrantClient":
    """Choose the client that speaks a grant's scheme. Raises InvalidInput."""
    scheme = url.partition(":")[0]
    if scheme == "file":
        from livecalc.blobs.directory.grants import FileGrants

        return FileGrants()
    if scheme in {"http", "https"}:
        from livecalc.blobs.https import HttpsGrants

        return HttpsGrants()
    raise InvalidInput(f"{GRANTS_ENV} holds no grant: its scheme is {scheme[:20]!r}, not file or https")


class Cell:
    """What a pod may change on its cluster: its namespace's last activity, and its own annotations.

    Both calls block, and are made by one thread.
    """

    def __init__(self, home: str, namespace: str, pod: str) -> None:
        self._home = Path(home)
        self._namespace = namespace
        self._pod = pod
        self._cluster: Cluster | None = None
        self._run: Callable[[Coroutine[Any, Any, object]], object] | None = None

    def heartbeat(self) -> None:
        """Tell that the namespace is in use."""
        from livecalc.lifecycle.activity import update_namespace_activity

        cluster = self._open()

        async def beat() -> None:
            await update_namespace_activity(cluster, self._namespace, await cluster.now())

        self._do(beat())

    def annotate(self, annotations: Mapping[str, str]) -> None:
        """Set annotations of the own pod."""
        self._do(self._open().annotate_pod(self._namespace, self._pod, annotations))

    def _open(self) -> "Cluster":
        if self._cluster is None:
            import asyncio

            from livecalc.bootstrap.home import Home
            from livecalc.cluster.local import LocalCluster

            self._cluster = LocalCluster(Home(self._home).cluster)
            self._run = asyncio.Runner().run
        return self._cluster

    def _do(self, work: Coroutine[Any, Any, object]) -> None:
        if self._run is not None:
            self._run(work)


class _Environ:
    """The pod's settings; a missing one is a sentence."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[name]
        except KeyError:
            raise InvalidInput(
                f"{name} is not set: `livecalc worker` is started by the cluster, inside a pod"
            ) from None


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput(f"{name}={text[:40]!r} is not valid: use a whole number, at least 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
