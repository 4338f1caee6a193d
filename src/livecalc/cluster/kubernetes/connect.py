"""From a kubeconfig or a pod's service account to an open, authenticated client of one API server.

The vendor's library reads configurations, runs plugins and sets TLS up; that credentials run out is seen to here.
"""

import asyncio
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config import kube_config
from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader
from msgspec import Struct

from livecalc.domain.errors import InvalidInput, Unavailable

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_KUBECONFIG = "KUBECONFIG"
_LOADING_SECONDS = 60.0
"""A plugin may have to ask a slow identity provider."""
_REREAD_SECONDS = 60.0
"""How old a service account's token may be here: kubelet puts a new one in its file long before it ends."""
_RENEWED_BEFORE = timedelta(minutes=5)
_COOL_DOWN = 10.0
"""Between two renewals because of a refusal: credentials that are simply wrong are not asked for all the time."""
_BEARER = "BearerToken"
_CONNECTIONS = 100


class Access(Struct, frozen=True, kw_only=True):
    """Where credentials come from."""

    kubeconfig: str = ""
    """A path, or several as KUBECONFIG has them; empty for KUBECONFIG, the pod's account, or ~/.kube/config."""
    context: str = ""
    """Of the kubeconfig; empty for its current one."""
    account: Path = _SERVICE_ACCOUNT
    """Where a pod finds the token and authority of its service account."""

    def chosen(self, environ: Mapping[str, str]) -> str:
        """The kubeconfig that counts; empty inside a pod."""
        named = self.kubeconfig or environ.get(_KUBECONFIG, "")
        if named or (environ.get(_SERVICE_HOST) and (self.account / "token").exists()):
            return named
        return str(Path.home() / ".kube/config")


class _Loaded(Struct, frozen=True, kw_only=True):
    """What one look at the configuration gave."""

    name: str
    configuration: Configuration
    headers: dict[str, str]
    """What says who asks."""
    renew_at: float = math.inf
    """By the monotonic clock."""

    @property
    def transport(self) -> tuple[object, ...]:
        """What a session is made of: another one is needed when it changes."""
        made = self.configuration
        return made.host, made.ssl_ca_cert, made.cert_file, made.key_file, made.verify_ssl, made.tls_server_name


class Link:
    """An open client; its credentials are renewed before they end, and after they were refused."""

    def __init__(self, access: Access, loaded: _Loaded) -> None:
        self._access = access
        self._loaded = loaded
        self._clients = [_client(loaded.configuration)]
        self._renewing = asyncio.Lock()
        self._refused_at = -math.inf

    @property
    def name(self) -> str:
        """`kubernetes, context NAME` or `kubernetes, in cluster`."""
        return self._loaded.name

    @property
    def session(self) -> ClientSession:
        """To send requests with; it trusts the cluster's authority, and shows the client's certificate."""
        return self._clients[-1].pool_manager

    @property
    def host(self) -> str:
        """`https://address:port`, without a slash at its end."""
        return str(self._loaded.configuration.host).rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The proxy to ask through."""
        return self._loaded.configuration.proxy or None

    @property
    def server_hostname(self) -> str | None:
        """The name in the server's certificate, where it is not that of its address."""
        return self._loaded.configuration.tls_server_name or None

    async def credentials(self) -> dict[str, str]:
        """The headers that say who asks. Raises Unavailable when new ones are due and cannot be had."""
        if time.monotonic() >= self._loaded.renew_at:
            await self._renew(self._loaded)
        return self._loaded.headers

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """Look for others after these credentials were refused; whether there is something new to try.

        Raises Unavailable when they cannot be had.
        """
        before = self._loaded
        if before.headers == refused:
            if time.monotonic() - self._refused_at < _COOL_DOWN:
                return False
            self._refused_at = time.monotonic()
            await self._renew(before)
        return True

    async def close(self) -> None:
        """Let go of connections."""
        for client in self._clients:
            await client.close()

    async def _renew(self, before: _Loaded) -> None:
        async with self._renewing:
            if self._loaded is not before:
                return
            try:
                fresh = await _load(self._access)
            except InvalidInput as error:
                raise Unavailable(error.detail) from None
            if fresh.transport != before.transport:
                # The one before stays open for what is under way.
                self._clients.append(_client(fresh.configuration))
            self._loaded = fresh


async def connect(access: Access) -> Link:
    """Open a client; no request is sent yet. Raises InvalidInput for a configuration that cannot be used."""
    return Link(access, await _load(access))


async def _load(access: Access) -> _Loaded:
    kubeconfig = access.chosen(os.environ)
    if kubeconfig and not _is_there(kubeconfig):
        raise InvalidInput(f"kubeconfig {kubeconfig} cannot be used: there is no such file; set KUBECONFIG")
    try:
        async with asyncio.timeout(_LOADING_SECONDS):
            if kubeconfig:
                return await _from_kubeconfig(kubeconfig, access.context)
            return await asyncio.to_thread(_in_cluster, access.account)
    except TimeoutError:
        raise InvalidInput(
            f"kubeconfig {kubeconfig}: its plugin gave no credentials in {_LOADING_SECONDS:g} s"
        ) from None
    except Exception as error:  # noqa: BLE001  (the library raises whatever a broken file or plugin makes it raise)
        what = f"kubeconfig {kubeconfig}" if kubeconfig else f"the service account in {access.account}"
        said = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInput(f"{what} cannot be used: {said[:300]}") from None


def _is_there(kubeconfig: str) -> bool:
    return any(Path(each).exists() for each in kubeconfig.split(os.pathsep))


async def _from_kubeconfig(kubeconfig: str, context: str) -> _Loaded:
    configuration = Configuration()
    loader: Any = await kube_config.load_kube_config(  # pyright: ignore[reportUnknownMemberType]  (annotated in part)
        kubeconfig, context or None, configuration, persist_config=False
    )
    ends_at: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    return _Loaded(
        name=f"kubernetes, context {loader.current_context['name']}",
        configuration=configuration,
        headers=_headers(configuration),
        renew_at=time.monotonic() + _seconds_until_renewal(ends_at) if ends_at else math.inf,
    )


def _seconds_until_renewal(ends_at: datetime) -> float:
    """Some minutes before the end; of a short life, four fifths."""
    left = ends_at - datetime.now(UTC)
    return max(left - _RENEWED_BEFORE, left * 4 / 5).total_seconds()


def _in_cluster(account: Path) -> _Loaded:
    configuration = Configuration()
    InClusterConfigLoader(str(account / "token"), str(account / "ca.crt")).load_and_set(configuration)
    renew_at = time.monotonic() + _REREAD_SECONDS
    return _Loaded(
        name="kubernetes, in cluster",
        configuration=configuration,
        headers=_headers(configuration),
        renew_at=renew_at,
    )


def _headers(configuration: Any) -> dict[str, str]:
    token: str | None = configuration.api_key.get(_BEARER)
    return {"Authorization": token.strip()} if token else {}


def _client(configuration: Configuration) -> RESTClientObject:
    return RESTClientObject(configuration, maxsize=_CONNECTIONS)
