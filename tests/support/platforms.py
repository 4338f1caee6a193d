"""A platform of one's own in a temporary home, and small models to run on it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from livecalc.bootstrap.service import open_platform
from livecalc.bundles.pack import pack
from livecalc.domain.tenants import Principal
from livecalc.jobs.service import SubmitRequest
from livecalc.services import Platform
from livecalc.settings import load
from livecalc.wire.jobs import Job

ANA = Principal(tenant_id="acme", user_id="ana")
BOB = Principal(tenant_id="other", user_id="bob")

STEADY = """
def main(block, /):
    print("computing", block.first)
    return block.normals(1)[:, 0]
"""


@asynccontextmanager
async def platform_at(home: Path, **settings: str) -> AsyncGenerator[Platform, None]:
    """Open a platform on a home, with settings by their names."""
    async with open_platform(load({"LIVECALC_HOME": str(home), **settings})) as platform:
        yield platform


def pack_model(
    folder: Path, code: str, *, count: int = 16, block: int = 8, config: dict[str, Any] | None = None
) -> Path:
    """Pack a model of one node, `main`, whose output is `npv`."""
    folder.mkdir(parents=True, exist_ok=True)
    node = {
        "id": "main",
        "engine": "python://model.py:main",
        "inputs": {},
        "outputs": {"npv": "bus://results/npv"},
    }
    content = {
        "name": "small",
        "version": "1",
        "scenarios": {"count": count, "block": block, "seed": 7},
        "assumptions": [],
        "pipeline": {"nodes": [node]},
        "results": ["bus://results/npv"],
        **(config or {}),
    }
    (folder / "livecalc.config.json").write_text(json.dumps(content))
    (folder / "model.py").write_text(code)
    return pack(folder, folder.with_suffix(".zip")).path


async def push_model(platform: Platform, folder: Path, code: str, *, principal: Principal = ANA, **options: Any) -> str:
    """Pack a model and push it for a tenant; its hash."""
    pushed = await platform.bundles.push(principal.tenant_key, pack_model(folder, code, **options))
    return pushed.model_bundle_hash


async def run_job(platform: Platform, bundle: str, bucket: str = "b1", **options: Any) -> Job:
    """Submit a bundle for Ana and wait for its end."""
    request = SubmitRequest(bucket_id=bucket, model_bundle_hash=bundle, **options)
    submitted = await platform.jobs.submit(ANA, request, request_id="test")
    jobs = [job async for job in platform.jobs.events(ANA, submitted.job_id)]
    return jobs[-1]
