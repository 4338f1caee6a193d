"""Read settings from the environment. An empty variable counts as unset."""

import os
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from livecalc.domain.errors import InvalidInput
from livecalc.settings.topics import (
    BundleSettings,
    IdentitySettings,
    JobSettings,
    LifecycleSettings,
    LogSettings,
    StoreSettings,
    TargetSettings,
)

T = TypeVar("T", bound=Struct)
_PLACE = re.compile(r" - at `\$\.?(?P<name>[A-Z_]*).*`$")
_SECRETS = {"AZURE_BLOB_CONNECTION_STRING", "LIVECALC_TOKEN"}


class Settings(Struct, frozen=True, kw_only=True):
    """All topics."""

    target: TargetSettings = TargetSettings()
    store: StoreSettings = StoreSettings()
    identity: IdentitySettings = IdentitySettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    jobs: JobSettings = JobSettings()
    bundles: BundleSettings = BundleSettings()
    logs: LogSettings = LogSettings()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings. Raises InvalidInput, which names the variable, its value and what it should be."""
    values = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    return Settings(
        target=_topic(TargetSettings, values),
        store=_topic(StoreSettings, values),
        identity=_topic(IdentitySettings, values),
        lifecycle=_topic(LifecycleSettings, values),
        jobs=_topic(JobSettings, values),
        bundles=_topic(BundleSettings, values),
        logs=_topic(LogSettings, values),
    )


def _topic(topic: type[T], values: Mapping[str, str]) -> T:
    try:
        return msgspec.convert(values, topic, strict=False)
    except msgspec.ValidationError as error:
        text = str(error)
        place = _PLACE.search(text)
        name = place["name"] if place else "?"
        shown = "(hidden)" if name in _SECRETS else repr(values.get(name, ""))
        wanted = text[: place.start()] if place else text
        raise InvalidInput(f"{name}={shown} is not valid: {wanted[0].lower()}{wanted[1:]}") from None
