"""Trying again what may pass: the storage SDK's own policy gives up at 429, and does not read Retry-After."""

import logging
import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy, RequestHistory
from azure.storage.blob import LocationMode

from livecalc.blobs.azure.failures import cause

_LONGEST_PAUSE = 60.0
_TRIES = 7
_METHODS = frozenset({"HEAD", "GET", "PUT", "DELETE", "POST"})
"""The one POST that the platform makes asks for a delegation key: to have two of them does no harm."""
_REFUSED = 400
_TOLD_EVERY = 10.0
"""Seconds between two lines of the log about the same store."""
_log = logging.getLogger("livecalc.blobs")


class Patience(AsyncRetryPolicy[Any, Any]):
    """Pauses as long as the service asks for, at most a minute; else about twice as long each time."""

    def __init__(
        self, *, chance: Callable[[], float] = random.random, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(
            retry_total=_TRIES,
            retry_connect=_TRIES,
            retry_read=_TRIES,
            retry_status=_TRIES,
            retry_backoff_factor=0.2,
            retry_backoff_max=10,
        )
        self._chance = chance
        self._clock = clock
        # Of each store, by its host, when it was told of last; shared with the copies of this policy.
        self._told: dict[str, float] = {}

    def get_retry_after(self, response: PipelineResponse[Any, Any]) -> float | None:
        """Seconds that the service asks to wait; None when it does not, or not in a way that can be read."""
        try:
            asked = super().get_retry_after(response)
        except (ValueError, TypeError, OverflowError):
            return None
        return None if asked is None else min(asked, _LONGEST_PAUSE)

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Seconds before the next try; by chance half to one and a half times the rule, so not all come at once."""
        rule = settings["backoff"] * 2 ** max(0, len(settings["history"]) - 1)
        return min(settings["max_backoff"], rule) * (0.5 + self._chance())

    async def sleep(
        self, settings: dict[str, Any], transport: Any, response: PipelineResponse[Any, Any] | None = None
    ) -> None:
        """Pause before the next try, and let the log say why."""
        for tried in settings["history"][-1:]:  # none for an answer that says no, and is cut
            self._tell(tried)
        await super().sleep(settings, transport, response)

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send until it passes, or is not worth another try. Raises AzureError."""
        for option in ("hosts", "location_mode", "retry_to_secondary", "retry_hook"):
            request.context.options.pop(option, None)  # meant for the SDK's own policy; there is one location
        request.context.options["retry_on_methods"] = _METHODS
        response = await super().send(request)
        answer = response.http_response
        if answer.status_code < _REFUSED and not _is_of_a_store(answer):
            answer.internal_response.close()
            raise HttpResponseError("what answered is no blob store, perhaps a proxy", response=answer)
        answer.location_mode = LocationMode.PRIMARY  # the SDK reads it from every answer
        return response

    def _tell(self, tried: RequestHistory[Any, Any]) -> None:
        # The host alone: what signs a request is in the rest of its address.
        url: str = tried.http_request.url
        host, now = urlsplit(url).netloc, self._clock()
        if now - self._told.get(host, -_TOLD_EVERY) < _TOLD_EVERY:
            return
        self._told[host] = now
        if isinstance(tried.error, AzureError):
            what = f"does not answer ({cause(tried.error)})"
        else:
            what = f"answers {tried.http_response.status_code if tried.http_response else 'nothing'}"
        _log.warning("blob store %s %s: trying again", host, what)


def _is_of_a_store(answer: Any) -> bool:
    """Whether a service answered, not a proxy on the way with a page of its own, which may look like success."""
    # Azurite leaves the id out where it gives a delegation key.
    return "x-ms-request-id" in answer.headers or is_of_azurite(answer)


def is_of_azurite(answer: Any) -> bool:
    """Whether Azurite answered, which says so."""
    return answer.headers.get("Server", "").startswith("Azurite")
