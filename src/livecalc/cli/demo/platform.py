"""The platform that the demo runs on, and what can be seen of it from this machine."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livecalc.client import Client
    from livecalc.lifecycle.plan import SweepPlan
    from livecalc.settings import Settings
    from livecalc.wire.namespaces import SweepEntry


@dataclass(frozen=True, kw_only=True)
class DemoPlatform:
    """A client, and the settings of the platform behind it when that is this machine's own."""

    client: "Client"
    settings: "Settings"

    @property
    def home(self) -> Path | None:
        """Where the platform keeps its data on this machine; None when it is a server's."""
        return None if self.settings.target.url else self.settings.target.home_folder

    def plan(self, namespace: str) -> "SweepEntry | None":
        """What a sweep would do with a namespace now; None where only the server's own sweeps know."""
        if self.home is None:
            return None
        from livecalc.cli.views.sweeps import entry

        plan = asyncio.run(self._plan())
        return next((entry(each, plan.now) for each in plan.entries if each.record.name == namespace), None)

    async def _plan(self) -> "SweepPlan":
        from livecalc.bootstrap.service import open_platform

        async with open_platform(self.settings) as platform:
            return await platform.reaper.plan(every_pod=True)
