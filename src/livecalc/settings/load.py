"""Read settings from the environment. An empty variable counts as unset."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
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

    @property
    def own_target(self) -> str:
        """The platform of this machine as people write it: `local, ~/.livecalc`."""
        home, user = self.target.home_folder, Path("~").expanduser()
        place = f"~/{home.relative_to(user)}" if home != user and home.is_relative_to(user) else str(home)
        return f"{self.target.cluster}, {place}{', blobs in Azure' if self.store.is_azure else ''}"


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
        place = _PLACE.search(str(error))
        name = place["name"] if place else "?"
        shown = "(hidden)" if name in _SECRETS else repr(values.get(name, ""))
        raise InvalidInput(f"{name}={shown} is not valid: use {_allowed(topic, name)}") from None


def _allowed(topic: type[Struct], name: str) -> str:
    """What a setting may be, in words."""
    from msgspec import inspect

    shape = inspect.type_info(topic)
    types = {field.encode_name: field.type for field in shape.fields} if isinstance(shape, inspect.StructType) else {}
    match types.get(name):
        case inspect.LiteralType() as literal:
            return f"one of {', '.join(sorted(map(str, literal.values)))}"
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case _:
            return "text"
