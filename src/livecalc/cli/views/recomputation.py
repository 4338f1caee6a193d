"""A recomputation and its comparison, as text."""

from typing import cast

from livecalc.cli.format import NONE, count, duration, plain, short
from livecalc.cli.tables import facts, table
from livecalc.cli.views.jobs import environment
from livecalc.wire.jobs import Difference
from livecalc.wire.mttc import Phase, Verified


def show_phases(phases: list[Phase]) -> str:
    """The time of each phase."""
    rows = [[phase.name, f"{phase.seconds:.2f}"] for phase in phases]
    return table(["PHASE", "SECONDS"], rows, right=["SECONDS"])


def show_hashes(verified: Verified) -> str:
    """The two results, each with what it was computed in when the two environments differ."""
    original, resumed = _environments(verified)
    return facts(
        [
            ("Original", f"{short(verified.original_result_hash)}   {verified.original_job_id}{original}"),
            ("Resumed", f"{short(verified.resumed_result_hash)}{resumed}"),
        ]
    )


def verdict(verified: Verified) -> str:
    """Match or not, in which time, and whether that is in time."""
    word = "MATCH" if verified.match else "MISMATCH" if verified.resumed_result_hash else "NO RESULT"
    late = ", LATE" if verified.match and not verified.success else ""
    return f"{word} in {verified.duration_seconds:.2f}s (target {verified.target_seconds:g}s){late}"


def explain(verified: Verified) -> str:
    """What does not match, where it first differs, how far, and what to do; empty when all matched."""
    said = map(plain, verified.message.splitlines() if not verified.match else [])
    return "\n".join(part for part in (*said, differences(verified)) if part)


def differences(verified: Verified) -> str:
    """The first difference and its extent, and that of the environments when the results differ."""
    lines: list[str] = []
    if verified.first_difference is not None:
        lines += _difference(verified.first_difference)
    differs = _differing(verified)
    if differs and verified.resumed_result_hash != verified.original_result_hash:
        lines.append("Differs: " + "; ".join(differs))
        lines.append("Do: recompute where the original ran, or move the node to the wasm engine.")
    return "\n".join(lines)


def _difference(found: Difference) -> list[str]:
    scenario = f", scenario {found.scenario}" if found.scenario is not None else ""
    block = f"block {found.block} (scenarios {found.first}-{found.stop - 1})"
    lines = [f"First difference: output {found.output}, {block}{scenario}"]
    if found.original is not None and found.resumed is not None:
        lines.append(f"  original  {found.original!r}   resumed  {found.resumed!r}{_relative(found)}")
    extent = f"Extent: {found.blocks_differing} of {count(found.blocks_total, 'block')}"
    if found.values_differing is not None and found.values_total is not None:
        extent += f", {found.values_differing} of {count(found.values_total, 'value')}"
    if found.largest_relative is not None:
        extent += f"; largest relative difference {found.largest_relative:.1e}"
    lines.append(extent)
    if found.upstream:
        lines.append(f"Upstream: {found.upstream}")
    return lines


def _relative(found: Difference) -> str:
    if not found.original or found.resumed is None:
        return ""
    return f"   ({abs(found.resumed - found.original) / abs(found.original):.1e} relative)"


def _environments(verified: Verified) -> tuple[str, str]:
    if not verified.environment.get("differs"):
        return "", ""
    return f"   {environment(_side(verified, 'original'))}", f"   {environment(_side(verified, 'resumed'))}"


def _differing(verified: Verified) -> list[str]:
    original, resumed = _side(verified, "original"), _side(verified, "resumed")
    names = cast("list[str]", verified.environment.get("differs") or [])
    return [f"{name} ({original.get(name, NONE)} -> {resumed.get(name, NONE)})" for name in names]


def _side(verified: Verified, side: str) -> dict[str, object]:
    return cast("dict[str, object]", verified.environment.get(side) or {})


def took(verified: Verified) -> str:
    """The phases in one line: `create namespace 0.1s, execute 2.9s`."""
    return ", ".join(f"{phase.name} {duration(phase.seconds)}" for phase in verified.phases)
