"""Signing grants: shared access signatures of one blob and one verb, which `blobs.https` acts on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from azure.storage.blob import (
    BlobSasPermissions,
    ContainerSasPermissions,
    UserDelegationKey,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.blob.aio import BlobServiceClient

from livecalc.blobs.azure.failures import reported
from livecalc.blobs.port import Verb
from livecalc.domain.errors import InvalidInput
from livecalc.domain.shelves import is_regulatory

_EARLY = timedelta(minutes=15)
"""A grant begins in the past, for workers whose clock is behind."""
LONGEST = timedelta(days=7) - _EARLY
"""The longest grant without an account key: a user delegation key, which begins as early, lives at most 7 days
(Microsoft: "Get User Delegation Key")."""
_RENEW = timedelta(hours=1)


class Signer(Protocol):
    """Signs for one account."""

    async def sign(self, container: str, name: str, verb: Verb, expires_at: datetime) -> str:
        """The query of a signed URL. Raises InvalidInput, Unavailable."""
        ...

    async def sign_container(self, container: str, expires_at: datetime) -> str:
        """The query of the platform's own requests to a container: make blobs, list them. Raises Unavailable."""
        ...


class AccountKey:
    """Signs by the account's key."""

    def __init__(self, url: str, account: str, key: str) -> None:
        self._protocol = "https" if urlsplit(url).scheme == "https" else "https,http"
        self._account = account
        self._key = key

    async def sign(self, container: str, name: str, verb: Verb, expires_at: datetime) -> str:
        """Sign, without asking the service."""
        return generate_blob_sas(
            self._account,
            container,
            name,
            account_key=self._key,
            permission=_permission(verb),
            start=datetime.now(UTC) - _EARLY,
            expiry=expires_at,
            protocol=self._protocol,
        )

    async def sign_container(self, container: str, expires_at: datetime) -> str:
        """Sign, without asking the service."""
        return generate_container_sas(
            self._account,
            container,
            account_key=self._key,
            permission=_own_permission(container),
            start=datetime.now(UTC) - _EARLY,
            expiry=expires_at,
            protocol=self._protocol,
        )


class DelegationKeys:
    """Signs by keys that the service gives out to an identity, and keeps each for as long as it is of use."""

    def __init__(self, service: BlobServiceClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._service = service
        self._now = now
        self._key: UserDelegationKey | None = None
        self._until = datetime.fromtimestamp(0, UTC)

    async def sign(self, container: str, name: str, verb: Verb, expires_at: datetime) -> str:
        """Sign by a key that lives as long as the grant. Raises InvalidInput for one of more than 7 days."""
        now = self._now()
        if expires_at > now + LONGEST:
            raise InvalidInput(
                f"a grant until {expires_at:%Y-%m-%dT%H:%M:%SZ} cannot be signed: Azure's delegation keys live 7 days; "
                "use a deadline of at most 6 days, or an account key"
            )
        return generate_blob_sas(
            str(self._service.account_name),
            container,
            name,
            user_delegation_key=await self._key_until(expires_at, now),
            permission=_permission(verb),
            start=now - _EARLY,
            expiry=expires_at,
            protocol="https",
        )

    async def sign_container(self, container: str, expires_at: datetime) -> str:
        """Sign by a key that lives as long. Raises Unavailable."""
        now = self._now()
        return generate_container_sas(
            str(self._service.account_name),
            container,
            user_delegation_key=await self._key_until(expires_at, now),
            permission=_own_permission(container),
            start=now - _EARLY,
            expiry=expires_at,
            protocol="https",
        )

    async def _key_until(self, end: datetime, now: datetime) -> UserDelegationKey:
        if self._key is None or self._until < end or self._until < now + _RENEW:
            until = now + LONGEST
            with reported(str(self._service.account_name), "give out a user delegation key"):
                self._key = await self._service.get_user_delegation_key(now - _EARLY, until)
            self._until = until
        return self._key


def _permission(verb: Verb) -> BlobSasPermissions:
    # Never `w` beside `c`: it would overwrite.
    return BlobSasPermissions(read=verb is Verb.READ, create=verb is Verb.CREATE)


def _own_permission(container: str) -> ContainerSasPermissions:
    # With `w`, an existing blob is told by If-None-Match, which every write has; without, as a lack of rights.
    return ContainerSasPermissions(
        read=True, create=True, write=True, list=True, tag=True, set_immutability_policy=is_regulatory(container)
    )
