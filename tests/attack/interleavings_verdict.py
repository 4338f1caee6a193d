"""Judge what racers did, from their journals alone: each namespace's life in the order of its versions."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from attack.interleavings_world import LIMIT

from livecalc.domain.namespaces import LAST_ACTIVITY, LAST_SUBMIT, REAP_STARTED_AT
from livecalc.domain.timestamps import parse_timestamp
from livecalc.lifecycle.activity import HEARTBEAT_EVERY

Event = dict[str, Any]
_FILE_TIMES = 0.05
"""Seconds by which a file's time may be coarser than a process's."""
_NAMES = re.compile(r"j-\w+(, j-\w+)*|b-\d+|(?<=reaped by )[^:]+|\d+[hms]\d*[ms]?")
REASONS = {
    "submit": {
        "Reaping: bucket * is being reaped: come back in a minute, its id is free again then",
        "Reaping: namespace livecalc-bucket-* was reaped meanwhile: submit again",
        "Conflict: bucket * is finalized and takes no work: use another bucket id",
        "Conflict: job * was cancelled while its submit was under way: submit again",
    },
    "heartbeat": {"NotFound: there is no namespace livecalc-bucket-*"},
    "finalize": {
        "NotFound: there is no namespace livecalc-bucket-*",
        "Conflict: namespace livecalc-bucket-* has jobs still running: *; wait, or force it (--force, force=true)",
    },
    "clock": {
        "NotFound: there is no namespace livecalc-bucket-*",
        "PreconditionFailed: namespace livecalc-bucket-* was changed since it was read; read it again",
    },
}
"""All that a loser may be told; `*` stands for names."""
LOST = (
    "namespace livecalc-bucket-* is being reaped by *: it will be gone in a minute",
    "Namespace livecalc-bucket-* is kept after all: ",
    "namespace livecalc-bucket-* is gone: another reaper was faster",
)
"""How a reaper says that it lost a namespace, in the log."""


@dataclass
class Life:
    """One namespace from its creation to its deletion."""

    uid: str
    name: str = ""
    created: int = 0
    patches: list[Event] = field(default_factory=list[Event])
    deletions: list[Event] = field(default_factory=list[Event])

    @property
    def claim(self) -> Event | None:
        return next((each for each in self.patches if each["kind"] == "claim"), None)

    @property
    def jobs(self) -> set[str]:
        return {each["changes"][LAST_SUBMIT] for each in self.patches if each["kind"] == "submit"}


@dataclass
class Verdict:
    """What happened, in numbers, and every broken rule in a sentence."""

    acts: Counter[str] = field(default_factory=Counter[str])
    conflicts: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    sweeps: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])
    lives: dict[str, Life] = field(default_factory=dict[str, Life])
    confirmed: dict[str, int] = field(default_factory=dict[str, int])
    """Jobs whose submit was answered with success, each with the number of its bucket."""
    tried: set[str] = field(default_factory=set[str])
    """Jobs that were on the cluster, however short."""
    broken: list[str] = field(default_factory=list[str])

    @property
    def reaped(self) -> list[Life]:
        return [life for life in self.lives.values() if life.deletions]

    @property
    def why(self) -> Counter[str]:
        """What reaped namespaces were when they were claimed: `active` ones were idle."""
        return Counter(str(life.claim["status"]) for life in self.reaped if life.claim)

    def report(self) -> str:
        lines = [f"{sum(self.acts.values())} acts: {_counts(self.acts)}"]
        lines += [f"{sum(self.conflicts.values())} conflicts: {_counts(self.conflicts)}"]
        lines += [
            f"{len(self.confirmed)} jobs, {len(self.lives)} namespaces, {len(self.reaped)} reaped: {_counts(self.why)}"
        ]
        lines += [f"sweeps: {_counts(self.sweeps)}"]
        lines += [f"{count:6} {reason}" for reason, count in sorted((self.refused + self.lost).items())]
        return "\n".join(lines)


def judge(journals: list[Path], witness: Path) -> Verdict:
    """Read all journals and hold them to the rules."""
    verdict = Verdict()
    for event in _events(journals):
        _take(event, verdict)
    ended = ends(witness)
    for life in verdict.lives.values():
        life.patches.sort(key=lambda each: each["version"])
        verdict.broken += [f"{life.name} ({life.uid}): {flaw}" for flaw in _flaws(life, verdict.confirmed, ended)]
    if verdict.sweeps["kept"] + verdict.sweeps["elsewhere"] != sum(verdict.lost.values()):
        verdict.broken.append("a reaper lost a namespace and its log does not say why")
    if verdict.sweeps["failed"]:
        verdict.broken.append(f"{verdict.sweeps['failed']} reapings failed")
    return verdict


def ends(witness: Path) -> dict[str, float]:
    """When the pods of jobs ended by themselves, by job."""
    return {path.name.rsplit("-", 2)[0]: path.stat().st_mtime for path in witness.iterdir()}


def _events(journals: list[Path]) -> Iterator[Event]:
    for path in journals:
        with path.open() as file:
            yield from map(json.loads, file)


def _take(event: Event, verdict: Verdict) -> None:
    did, by = event["did"], event["by"]
    if did == "conflict":
        verdict.conflicts[f"{by} on {event['on']}" if by != event["on"] else by] += 1
    elif did in {"done", "refused"}:
        verdict.acts[by] += 1
        _take_end(event, verdict)
    elif did == "submitted":
        verdict.confirmed[event["job"]] = event["bucket"]
    elif did == "job":
        verdict.tried.add(event["job"])
    elif did == "sweep":
        verdict.sweeps["sweeps"] += 1
        verdict.sweeps.update({name: event[name] for name in ("successful", "failed", "stamped", "kept", "elsewhere")})
        verdict.broken += [f"a sweep's problem or notice: {text}" for text in event["problems"] + event["notices"]]
    elif did == "log":
        text = _NAMES.sub("*", event["text"])
        if text.startswith(LOST):
            verdict.lost[text] += 1
        elif event["level"] != "INFO":
            verdict.broken.append(f"a reaper logged {event['level']}: {event['text']}")
    else:
        _take_life(event, verdict)


def _take_end(event: Event, verdict: Verdict) -> None:
    if event["did"] == "refused":
        reason = f"{event['error']}: {_NAMES.sub('*', event['reason'])}"
        verdict.refused[f"{event['by']}: {reason}"] += 1
        if reason not in REASONS[event["by"]]:
            verdict.broken.append(f"{event['by']} on b-{event['bucket']} was told: {event['error']}: {event['reason']}")


def _take_life(event: Event, verdict: Verdict) -> None:
    life = verdict.lives.setdefault(event["uid"], Life(event["uid"]))
    life.name = event["name"]
    if event["did"] == "created":
        life.created = event["version"]
    elif event["did"] == "deleted":
        life.deletions.append(event)
    else:
        life.patches.append(event)


def _flaws(life: Life, confirmed: Mapping[str, int], ended: Mapping[str, float]) -> Iterator[str]:
    yield from _lost_updates(life)
    for patch in life.patches:
        yield from _wrong_patch(patch)
    claim = life.claim
    for deletion in life.deletions:
        if deletion["status"] != "reaping" or claim is None or claim["version"] > deletion["base"]:
            yield f"deleted while {deletion['status']}, without a claim"
        if not deletion["archived"]:
            yield "deleted without an archive"
    if claim is not None:
        yield from _lost_jobs(life, claim, confirmed, ended)


def _lost_updates(life: Life) -> Iterator[str]:
    """Each change was based on the one before it: nobody, a reaper least of all, wrote over what he had not read."""
    before = life.created
    for patch in life.patches:
        if patch["terminating"]:
            return  # from here on the node changes it too
        if patch["base"] != before:
            yield f"{patch['kind']} made version {patch['version']} of {patch['base']}, but the last was {before}"
        before = patch["version"]


def _wrong_patch(patch: Event) -> Iterator[str]:
    kind, status, changes = patch["kind"], patch["status"], patch["changes"]
    last = parse_timestamp(patch["last"] or "")
    if kind in {"heartbeat", "submit", "confirm", "finalize", "clock"} and status != "active":
        yield f"{kind} changed it while {status}"
    if last is None:
        yield f"{kind} found no last activity"
    elif kind == "heartbeat":
        beat = parse_timestamp(changes[LAST_ACTIVITY])
        if beat is None or beat - last < HEARTBEAT_EVERY:
            yield f"a heartbeat went from {patch['last']} to {changes[LAST_ACTIVITY]}"
    elif kind == "claim" and status == "active":
        since = parse_timestamp(changes[REAP_STARTED_AT])
        if since is None or since - last <= LIMIT - timedelta(seconds=1):
            yield f"claimed at {changes[REAP_STARTED_AT]} while active, last used {patch['last']}"


def _lost_jobs(life: Life, claim: Event, confirmed: Mapping[str, int], ended: Mapping[str, float]) -> Iterator[str]:
    for patch in life.patches:
        if patch["kind"] == "submit" and patch["version"] > claim["version"]:
            yield f"job {patch['changes'][LAST_SUBMIT]} was begun after the claim"
    for job in life.jobs & confirmed.keys():
        if job in ended and ended[job] > claim["at"] + _FILE_TIMES:
            late = ended[job] - claim["at"]
            yield f"job {job} ended {late:.3f} s after the namespace was claimed while {claim['status']}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"
