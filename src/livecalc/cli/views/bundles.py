"""Bundles as text and as JSON."""

from typing import Any

import msgspec

from livecalc.bundles.contents import PackedBundle, VerifiedBundle
from livecalc.cli.format import count, short, size
from livecalc.cli.tables import facts, table


def show_bundle(bundle: VerifiedBundle) -> str:
    """What a bundle computes, from what, and which files it has."""
    config = bundle.config
    scenarios = config.scenarios
    blocks = -(-scenarios.count // scenarios.block)
    nodes = [
        [node.id, node.engine, " ".join(node.inputs.values()), " ".join(node.outputs.values())]
        for node in config.pipeline.nodes
    ]
    files = [[file.path, size(file.size), short(file.sha256)] for file in bundle.files]
    parts = [
        facts(
            [
                ("Bundle", f"{short(bundle.model_bundle_hash)}   {size(bundle.size)}"),
                ("Model", f"{config.name} v{config.version}"),
                (
                    "Scenarios",
                    f"{scenarios.count:,} in {count(blocks, 'block')} of {scenarios.block}, seed {scenarios.seed}",
                ),
                ("Assumed", "\n".join(f"{each.ref} ({each.path})" for each in config.assumptions)),
                ("Results", " ".join(config.results)),
            ]
        ),
        table(["NODE", "ENGINE", "READS", "WRITES"], nodes),
        table(["FILE", "SIZE", "SHA256"], files, right=["SIZE"]),
    ]
    return "\n\n".join(parts)


def bundle_json(bundle: VerifiedBundle) -> dict[str, Any]:
    """The same for machines."""
    return {
        "model_bundle_hash": bundle.model_bundle_hash,
        "size": bundle.size,
        "path": str(bundle.path),
        "files": msgspec.to_builtins(bundle.files),
        "config": msgspec.to_builtins(bundle.config),
        "notes": list(bundle.notes) if isinstance(bundle, PackedBundle) else [],
    }
