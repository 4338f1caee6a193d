"""What a cluster says happened, in one shape: events are counted in two ways, and their times stand in five places."""

from datetime import datetime

from livecalc.cluster.kubernetes.api import Api
from livecalc.cluster.kubernetes.jobs import port_reason
from livecalc.cluster.kubernetes.objects import Event
from livecalc.cluster.kubernetes.pages import read_list
from livecalc.cluster.kubernetes.targets import inside
from livecalc.cluster.port import EventRecord


async def list_events(api: Api, namespace: str) -> list[EventRecord]:
    """The events of a namespace, oldest first."""
    listing = await read_list(api, inside(namespace, "events"), Event)
    return sorted(map(_record, listing.whole()), key=lambda event: event.time)


def _record(event: Event) -> EventRecord:
    about = event.involved_object
    return EventRecord(
        time=_time(event),
        type=event.type,
        reason=port_reason(event.reason) if about.kind == "Job" else event.reason,
        object=f"{about.kind}/{about.name}",
        message=event.message,
        count=event.series.count if event.series else event.count or 1,
    )


def _time(event: Event) -> datetime:
    """When it was seen last."""
    last = event.series.last_observed_time if event.series else None
    return (
        last or event.last_timestamp or event.event_time or event.first_timestamp or event.metadata.creation_timestamp
    )
