"""Locks: a time-based retention policy of one blob, in the mode that nobody can take back; the proof that they hold.

Needs a container with version-level immutability, which an operator makes.
"""

import secrets
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobProperties, ImmutabilityPolicy
from azure.storage.blob.aio import BlobClient, ContainerClient

from livecalc.blobs.azure.failures import NO_CONTAINER, code_of
from livecalc.blobs.azure.retry import is_of_azurite
from livecalc.domain.errors import Conflict, Unavailable

_LOCKED = "Locked"
_PROBES = "protection/"
_PROBE_LIFE = timedelta(days=1)
"""The shortest that Azure's own default policies know; a probe is one small blob that outlives its proof so long."""
_FORBIDDEN = 403
PAGE = "docs/regulatory.md says how"


def policy_until(moment: datetime) -> ImmutabilityPolicy:
    """The policy that protects a blob at least until then; the service counts in whole seconds."""
    return ImmutabilityPolicy(expiry_time=_whole_seconds(moment), policy_mode=_LOCKED)


def _whole_seconds(moment: datetime) -> datetime:
    whole = moment.astimezone(UTC).replace(microsecond=0)
    return whole if whole == moment else whole + timedelta(seconds=1)


def policy_headers(moment: datetime) -> dict[str, str]:
    """The same for a request of our own."""
    return {
        "x-ms-immutability-policy-mode": _LOCKED,
        "x-ms-immutability-policy-until-date": format_datetime(_whole_seconds(moment), usegmt=True),
    }


def lock_of(properties: BlobProperties) -> datetime | None:
    """Until when nobody can delete a blob; None for no policy, and for one that is not locked."""
    policy = properties.immutability_policy
    return lock_until(str(policy.policy_mode or ""), policy.expiry_time)


def lock_until(mode: str, until: datetime | None) -> datetime | None:
    """The end of a policy in a mode, as `lock_of`."""
    return until if mode.lower() == _LOCKED.lower() else None


async def extend(blob: BlobClient, until: datetime) -> None:
    """Lock a blob until then, unless it is locked as long already. Raises AzureError, Unavailable."""
    properties = await blob.get_blob_properties()
    if _holds(properties, until):
        return
    # A policy that is not locked may reach further: locking it is no reason to shorten it.
    longest = max(until, properties.immutability_policy.expiry_time or until)
    try:
        await blob.set_immutability_policy(policy_until(longest))
    except HttpResponseError:
        # Perhaps another locked it for longer meanwhile.
        if not _holds(await blob.get_blob_properties(), until):
            raise
        return
    if not _holds(await blob.get_blob_properties(), until):
        raise Unavailable(
            f"blob {blob.blob_name!r} in {blob.container_name} is not locked until {until:%Y-%m-%dT%H:%M:%SZ}: "
            "the store took the lock, and does not keep it"
        )


def refuse_locked(properties: BlobProperties, now: datetime) -> None:
    """Raise Conflict for a blob that is locked now, or under a legal hold."""
    if properties.has_legal_hold:
        raise Conflict(f"blob {properties.name!r} is under a legal hold and stays until that is released")
    held = lock_of(properties)
    if held is not None and held > now:
        raise Conflict(f"blob {properties.name!r} is locked until {held:%Y-%m-%dT%H:%M:%SZ} and stays until then")


def unprovisioned(account: str, container: str) -> str:
    """Say that a regulatory container is missing, and who makes it."""
    return f"blob store {account} has no container {container}: an operator makes it, {_command(container)} ({PAGE})"


def _holds(properties: BlobProperties, until: datetime) -> bool:
    held = lock_of(properties)
    return held is not None and held >= until


async def what_is_missing(account: str, container: ContainerClient, now: datetime) -> str | None:
    """Prove that a container keeps what is locked, by locking a blob of its own; else say what is missing.

    Raises AzureError for what says nothing about protection.
    """
    name = container.container_name
    emulated: list[bool] = []

    def look(answer: PipelineResponse[Any, Any]) -> None:
        emulated.append(is_of_azurite(answer.http_response))

    try:
        properties = await container.get_container_properties(raw_response_hook=look)
    except ResourceNotFoundError as error:
        if code_of(error) != NO_CONTAINER:
            raise
        properties = None
    if any(emulated):
        return (
            f"{name} would lie in blob store {account}, and that is Azurite, which takes locks and keeps none: "
            f"use a storage account of Azure ({PAGE})"
        )
    if properties is None:
        return unprovisioned(account, name)
    if properties.immutable_storage_with_versioning_enabled is not True:
        return (
            f"container {name} of blob store {account} has no version-level immutability: make it anew, "
            f"{_command(name)} ({PAGE})"
        )
    return await _probe(account, container, now + _PROBE_LIFE)


async def _probe(account: str, container: ContainerClient, until: datetime) -> str | None:
    until = _whole_seconds(until)
    blob = container.get_blob_client(f"{_PROBES}{secrets.token_hex(16)}")
    try:
        await blob.upload_blob(
            b"This shows that a lock holds in this container.\n",
            match_condition=MatchConditions.IfMissing,
            immutability_policy=policy_until(until),
        )
    except (ClientAuthenticationError, HttpResponseError) as error:
        if error.status_code != _FORBIDDEN:
            raise
        return (
            f"blob store {account} lets nobody lock blobs in {container.container_name} with these credentials "
            f"({code_of(error)}): give the identity the role Storage Blob Data Owner on the account ({PAGE})"
        )
    if _holds(await blob.get_blob_properties(), until):
        return None
    return (
        f"blob store {account} took a lock on {blob.blob_name} in {container.container_name} and does not keep it, so "
        f"it protects nothing: use a storage account of Azure with version-level immutability ({PAGE})"
    )


def _command(name: str) -> str:
    return (
        f"`az storage container-rm create --resource-group GROUP --storage-account ACCOUNT --name {name} "
        "--public-access off --enable-vlw true`"
    )
