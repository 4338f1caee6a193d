"""`livecalc bundle`: make, check and upload model bundles. File tools but for `push`."""

from pathlib import Path

import click

from livecalc.cli.lazy import Group
from livecalc.cli.output import bad, emit, emit_json, good, json_option, note

EXAMPLE = """
livecalc bundle init my-model
livecalc bundle pack my-model
livecalc bundle push my-model-1.zip
"""
_CHECK_FAILED = 3


@click.group("bundle", cls=Group, example=EXAMPLE)
def command() -> None:
    """Make, check and upload model bundles.

    A bundle is a model's configuration, code, assumptions and inputs in one archive, named by its SHA-256.
    """


@command.command("init", example="livecalc bundle init my-model --example term-life")
@click.argument("name")
@click.option("--example", metavar="E", help="Begin from this packaged example, such as term-life.")
def init_command(name: str, example: str | None) -> None:
    """Make the folder NAME with a model that runs as it is."""
    from livecalc.bundles.scaffold import init

    folder = init(name, Path(), example)
    emit(f"Made {folder}/: begin with {folder}/livecalc.config.json")
    note(f"Next: livecalc run {folder}")


@command.command("pack", example="livecalc bundle pack my-model -o my-model.zip")
@click.argument("folder", metavar="DIR")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="The file; by default {name}-{version}.zip here.")
@click.option("--scenarios", type=click.IntRange(1), metavar="N", help="Replace the number of scenarios.")
@json_option
def pack_command(*, folder: str, output: Path | None, scenarios: int | None, as_json: bool) -> None:
    """Pack a model's folder; the same folder gives the same bytes anywhere."""
    from livecalc.bundles.examples import model_folder
    from livecalc.bundles.pack import pack
    from livecalc.cli.model import describe, limits
    from livecalc.cli.views.bundles import bundle_json

    packed = pack(model_folder(folder), output, scenarios=scenarios, limits=limits())
    for sentence in packed.notes:
        note(f"Note    {sentence}")
    if as_json:
        emit_json(bundle_json(packed))
    else:
        emit(f"Packed  {describe(packed)}")
        emit(f"File    {packed.path}")


@command.command("inspect", example="livecalc bundle inspect my-model-1.zip")
@click.argument("model", metavar="DIR|FILE")
@json_option
def inspect_command(model: str, *, as_json: bool) -> None:
    """Show what a bundle computes, from what, and its files."""
    from livecalc.cli.model import bundle_of
    from livecalc.cli.views.bundles import bundle_json, show_bundle

    with bundle_of(model) as bundle:
        if as_json:
            emit_json(bundle_json(bundle))
        else:
            emit(show_bundle(bundle))


@command.command("verify", example="livecalc bundle verify my-model-1.zip")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_context
def verify_command(ctx: click.Context, file: Path, *, as_json: bool) -> None:
    """Hold a bundle to every rule, as the platform does before it runs one.

    Exits 3 when it is refused, and says why.
    """
    from livecalc.bundles.verify import verify
    from livecalc.cli.model import describe, limits
    from livecalc.cli.views.bundles import bundle_json
    from livecalc.domain.errors import InvalidInput

    allowed = limits()
    try:
        bundle = verify(file, allowed)
    except InvalidInput as error:
        if as_json:
            emit_json({"holds": False, "path": str(file), "reason": error.detail})
        else:
            emit(bad(error.detail))
        ctx.exit(_CHECK_FAILED)
    if as_json:
        emit_json({"holds": True, **bundle_json(bundle)})
    else:
        emit(good(describe(bundle)))


@command.command("push", example="livecalc bundle push my-model-1.zip")
@click.argument("model", metavar="DIR|FILE")
@json_option
def push_command(model: str, *, as_json: bool) -> None:
    """Upload a bundle; a folder is packed first."""
    from livecalc.cli.model import bundle_of
    from livecalc.cli.session import connected

    with bundle_of(model) as bundle, connected() as client:
        pushed = client.push(bundle.path)
    if as_json:
        emit_json(pushed)
    else:
        emit(pushed.model_bundle_hash)
        note(f"Submit: livecalc submit {pushed.model_bundle_hash[:12]} --bucket ID --wait")
