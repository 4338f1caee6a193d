"""Signing grants: shared access signatures of one blob and one verb, which `blobs.https` acts on."""

from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas
from azure.storage.blob.aio import BlobServiceClient

from livecalc.blobs.azure.failures import reported
from livecalc.blobs.port import Verb
from livecalc.domain.errors import InvalidInput

_EARLY = timedelta(minutes=15)
"""A grant begins in the past, for workers whose clock is behind."""
_LONGEST = timedelta(days=7)
"""The most that a user delegation key lives (Microsoft: "Get User Delegation Key")."""
_RENEW = timedelta(hours=1)


class Signer(Protocol):
    """Signs for one account."""

    async def sign(self, container: str, name: str, verb: Verb, expires_at: datetime) -> str:
        """The query of a signed URL. Raises InvalidInput, Unavailable."""
        ...


class AccountKey:
    """Signs by the account's key."""

    def __init__(self, url: str, account: str, key: str) -> None:
        self._scheme = urlsplit(url).scheme
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
            protocol="https" if self._scheme == "https" else "https,http",
        )


class DelegationKeys:
    """Signs by keys that the service gives out to an identity, and keeps each for as long as it is of use."""

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service
        self._key: UserDelegationKey | None = None
        self._until = datetime.fromtimestamp(0, UTC)

    async def sign(self, container: str, name: str, verb: Verb, expires_at: datetime) -> str:
        """Sign by a key that lives as long as the grant. Raises InvalidInput for one of more than 7 days."""
        now = datetime.now(UTC)
        if expires_at > now + _LONGEST - _EARLY:
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

    async def _key_until(self, end: datetime, now: datetime) -> UserDelegationKey:
        if self._key is None or self._until < end or self._until < now + _RENEW:
            until = now + _LONGEST - _EARLY
            with reported(str(self._service.account_name), "give out a user delegation key"):
                self._key = await self._service.get_user_delegation_key(now - _EARLY, until)
            self._until = until
        return self._key


def _permission(verb: Verb) -> BlobSasPermissions:
    # Never `w` beside `c`: it would overwrite.
    return BlobSasPermissions(read=verb is Verb.READ, create=verb is Verb.CREATE)
