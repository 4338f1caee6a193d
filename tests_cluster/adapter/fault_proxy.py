"""A proxy in front of the real API server that does, to requests of its choice, what networks and servers do."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from livecalc.cluster.kubernetes.connect import Access, Link, connect


@dataclass
class Fault:
    """What to do to the next `times` requests of this method whose path and query hold this text."""

    method: str
    path: str
    status: int = 0
    """Answer with this status, a reason and headers, without carrying the request out."""
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    lose: bool = False
    """Carry the request out, and cut the connection instead of answering."""
    drop: bool = False
    """Cut the connection without carrying it out."""
    cut: int = 0
    """Pass on so many bytes of the answer's body, then cut the connection."""
    times: int = 1


@dataclass
class FaultProxy:
    """Passes requests on as an administrator; `seen` has their methods and addresses in order."""

    upstream: Link
    faults: list[Fault] = field(default_factory=list[Fault])
    seen: list[str] = field(default_factory=list[str])
    url: str = ""

    def count(self, method: str, text: str) -> int:
        return sum(line.startswith(method) and text in line for line in self.seen)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path_qs}")
        fault = self._next(request)
        if fault and fault.drop:
            return self._cut(request)
        if fault and fault.status:
            said = {"kind": "Status", "reason": fault.reason, "message": "as the test asked", "code": fault.status}
            return web.json_response(said, status=fault.status, headers=fault.headers)
        return await self._pass_on(request, fault or Fault("", ""))

    async def _pass_on(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        kept = {key: request.headers[key] for key in ("Content-Type", "Accept") if key in request.headers}
        async with self.upstream.session.request(
            request.method,
            self.upstream.host + request.path_qs,
            data=await request.read(),
            headers={**kept, **await self.upstream.credentials()},
        ) as answer:
            body = await answer.read()
            if fault.lose:
                return self._cut(request)
            headers = {key: answer.headers[key] for key in ("Content-Type", "Date") if key in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=headers)
            response.content_length = len(body)
            await response.prepare(request)
            await response.write(body[: fault.cut] if fault.cut else body)
            return self._cut(request) if fault.cut else response

    def _next(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == request.method and fault.path in request.path_qs:
                fault.times -= 1
                return fault
        return None

    def _cut(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


@asynccontextmanager
async def fault_proxy(kubeconfig: str) -> AsyncGenerator[FaultProxy, None]:
    upstream = await connect(Access(kubeconfig=kubeconfig))
    proxy = FaultProxy(upstream)
    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{rest:.*}", proxy.serve)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    proxy.url = f"http://{host}:{port}"
    try:
        yield proxy
    finally:
        await runner.cleanup()
        await upstream.close()


def kubeconfig_of(proxy: FaultProxy, folder: Path) -> Path:
    """A kubeconfig that leads to the proxy."""
    file = folder / "kubeconfig"
    file.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: faulty
contexts: [{{name: faulty, context: {{cluster: faulty, user: somebody}}}}]
clusters: [{{name: faulty, cluster: {{server: "{proxy.url}"}}}}]
users: [{{name: somebody, user: {{token: anything}}}}]
"""
    )
    return file
