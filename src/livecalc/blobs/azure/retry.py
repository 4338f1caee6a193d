"""Trying again what may pass: the storage SDK's own policy gives up at 429, and does not read Retry-After."""

from typing import Any

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.storage.blob import LocationMode

_LONGEST_PAUSE = 60.0
_TRIES = 7


class Patience(AsyncRetryPolicy[Any, Any]):
    """Pauses as long as the service asks for, at most a minute; else twice as long each time."""

    def __init__(self) -> None:
        super().__init__(
            retry_total=_TRIES,
            retry_connect=_TRIES,
            retry_read=_TRIES,
            retry_status=_TRIES,
            retry_backoff_factor=0.2,
            retry_backoff_max=10,
        )

    def get_retry_after(self, response: PipelineResponse[Any, Any]) -> float | None:
        """Seconds that the service asks to wait; None when it does not."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_PAUSE)

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send until it passes, or is not worth another try."""
        for option in ("hosts", "location_mode", "retry_to_secondary", "retry_hook"):
            request.context.options.pop(option, None)  # meant for the SDK's own policy; there is one location
        response = await super().send(request)
        response.http_response.location_mode = LocationMode.PRIMARY  # the SDK reads it from every answer
        return response
