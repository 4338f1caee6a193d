"""`livecalc run`: compute a model on this machine, without a platform."""

import sys
import time
from typing import TYPE_CHECKING

import click

from livecalc.cli.lazy import Command
from livecalc.cli.output import emit, emit_json, json_option

if TYPE_CHECKING:
    from livecalc.cli.compute import Computed

EXAMPLE = """
livecalc run my-model
livecalc run term-life --scenarios 200
"""


@click.command("run", cls=Command, example=EXAMPLE)
@click.argument("model", metavar="DIR|FILE")
@click.option(
    "--scenarios", type=click.IntRange(1), metavar="N", help="Compute so many instead of the configured number."
)
@json_option
def command(model: str, scenarios: int | None, *, as_json: bool) -> None:
    """Compute a model here: no bucket, nothing recorded.

    DIR is a model's folder or the name of a packaged example, FILE a bundle. The model runs in processes of its own,
    one a core; what it prints goes to standard error.
    """
    import msgspec

    from livecalc.blobs.scratch import plain_scratch_folder
    from livecalc.bundles.open import open_bundle
    from livecalc.cli.compute import compute
    from livecalc.cli.model import bundle_of, limits
    from livecalc.cli.progress import scenarios as progress

    start = time.monotonic()
    with bundle_of(model) as bundle, plain_scratch_folder() as place:
        folder, scratch = place / "bundle", place / "scratch"
        scratch.mkdir()
        config = open_bundle(bundle.path, folder, limits())
        if scenarios is not None:
            config = msgspec.structs.replace(
                config, scenarios=msgspec.structs.replace(config.scenarios, count=scenarios)
            )
        total = config.scenarios.count
        with progress("Run     ") as advance:
            computed = compute(
                folder, config, scratch, on_progress=lambda done: advance(done, total), on_output=_pass_on
            )
    if as_json:
        emit_json(computed)
        return
    _show(computed, time.monotonic() - start)


def _pass_on(printed: bytes) -> None:
    sys.stderr.buffer.write(printed)
    sys.stderr.flush()


def _show(computed: "Computed", seconds: float) -> None:
    from livecalc.cli.format import duration, short
    from livecalc.cli.output import good
    from livecalc.cli.views.jobs import summary
    from livecalc.wire.jobs import Result

    emit(good(f"Computed {computed.model} in {duration(seconds)}, result {short(computed.result_hash)}"))
    emit("")
    emit(summary(Result(job_id="", result_hash=computed.result_hash, outputs=computed.outputs), whole=True))
