"""The story: seven steps in the life of one bucket, each told with its figures. What it begins, it ends."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from livecalc.cli.demo.figures import ClosedForm
from livecalc.cli.demo.interrupt import uninterrupted
from livecalc.cli.demo.leftovers import find_leftovers, tell_leftovers
from livecalc.cli.demo.narrator import Narrator
from livecalc.cli.format import count, duration, number, short, size
from livecalc.cli.output import bad, good, note
from livecalc.cli.program import program
from livecalc.domain.buckets import namespace_name
from livecalc.domain.errors import LivecalcError, NotFound, Unavailable
from livecalc.domain.jobs import JobState

if TYPE_CHECKING:
    from livecalc.bundles.contents import PackedBundle
    from livecalc.cli.demo.platform import DemoPlatform
    from livecalc.wire.jobs import Job
    from livecalc.wire.mttc import Verified

STEPS = ("pack", "submit", "run", "finalize", "reap", "recompute", "compare")
EXAMPLE = "term-life"
POLICIES = "inputs/policies.parquet"


class Story:
    """One bucket's life on one platform."""

    def __init__(self, platform: "DemoPlatform", narrator: Narrator, bucket_id: str, *, stays: bool) -> None:
        self._platform = platform
        self._client = platform.client
        self._narrator = narrator
        self._bucket_id = bucket_id
        self._stays = stays
        self._namespace = namespace_name(bucket_id)
        self._begun = False
        self.holds = True
        """Whether every check on the way held."""

    def tell(self) -> dict[str, Any]:
        """Tell it from the first step to the last, and return its figures. Ctrl-C and errors end the bucket, too."""
        from livecalc.blobs.scratch import plain_scratch_folder
        from livecalc.bundles.examples import find_example

        example = find_example(EXAMPLE)
        try:
            with plain_scratch_folder() as scratch, ClosedForm(example) as closed_form:
                bundle = self._pack(example, scratch)
                job_id = self._submit(bundle)
                self._run(job_id, closed_form)
            self._finalize()
            self._reap()
            verified = self._recompute(bundle, job_id)
            self._compare(verified)
        except BaseException:
            self._abandon()
            raise
        return self._end()

    def _pack(self, example: Path, scratch: Path) -> "PackedBundle":
        from livecalc.bundles.pack import pack
        from livecalc.cli.demo.figures import count_rows

        with self._narrator.step() as step:
            bundle = pack(example, scratch / "model.zip")
            policies = count_rows(example / POLICIES)
            scenarios = bundle.config.scenarios.count
            digest = short(bundle.model_bundle_hash)
            step.say(f"{EXAMPLE}: {policies:,} policies x {scenarios:,} scenarios   bundle {digest}")
            step.know(
                model_bundle_hash=bundle.model_bundle_hash, size=bundle.size, policies=policies, scenarios=scenarios
            )
        return bundle

    def _submit(self, bundle: "PackedBundle") -> str:
        with self._narrator.step() as step:
            # Interrupted between the request and its answer, nobody would know what to clean up.
            with uninterrupted():
                self._begun = True
                submitted = self._client.submit(bundle.path, bucket=self._bucket_id, name="demo").submitted
            step.say(f"job {submitted.job_id}")
            step.say(f"namespace {submitted.namespace} (created)")
            step.know(**msgspec.to_builtins(submitted))
        return submitted.job_id

    def _run(self, job_id: str, closed_form: ClosedForm) -> None:
        with self._narrator.step(quiet=True) as step:
            job = self._follow(job_id, step.label)
            output = self._client.result(job_id).outputs[0]
            comparison = closed_form.compare(output)
            self.holds &= comparison.holds
            step.say(f"{job.scenarios.done}/{job.scenarios.total} scenarios   {count(job.partitions.total, 'worker')}")
            step.say(
                f"{output.output} mean {number(output.mean)}   SE {number(output.se)}   result {short(job.result_hash)}"
            )
            difference = f"difference {comparison.standard_errors:+.1f} SE"
            mark = good("") if comparison.holds else bad("more than chance explains")
            step.say(f"closed form {number(comparison.closed_form)}: {difference}   {mark}")
            step.know(job=job, result=output, closed_form=comparison)

    def _follow(self, job_id: str, label: str) -> "Job":
        from livecalc.cli.waiting import follow

        job = follow(self._client, job_id, label)
        if job.state != JobState.SUCCEEDED:
            raise Unavailable(f"job {job_id} {job.state}: {job.error}")
        return job

    def _finalize(self) -> None:
        with self._narrator.step() as step:
            namespace = self._client.finalize(self._namespace)
            step.say(f"status active -> {namespace.status}: takes no new jobs")
            entry = self._platform.plan(self._namespace)
            if entry is not None:
                step.say(
                    f"a sweep plans: {entry.decision}, because it is {entry.reason}; {count(entry.pods, 'pod')} in it"
                )
            step.know(status=namespace.status, plan=entry)

    def _reap(self) -> None:
        from livecalc.cli.archive import find
        from livecalc.cli.views.archives import draw_archive

        with self._narrator.step() as step:
            # A reap takes a second, and half of one would be left to the next sweep.
            with uninterrupted():
                reaped = self._client.reap(self._namespace)
            if not reaped.success:
                raise Unavailable(reaped.message)
            self._begun = False
            found = find(self._client, self._bucket_id)
            verification = self._client.verify_archive(found.bucket_id, found.timestamp)
            self.holds &= verification.holds
            logs = found.manifest.containers
            complete = sum(log.state == "complete" for log in logs)
            step.say(f"archived, deleted, gone: {complete}/{count(len(logs), 'log')} complete")
            step.say(f"archive {found.path}   {found.manifest.state}, {size(verification.bytes)}")
            step.say(draw_archive(found.manifest))
            step.say(good("every blob as the manifest says") if verification.holds else bad("NOT as the manifest says"))
            left = find_leftovers(self._platform, self._bucket_id)
            self.holds &= left.nothing
            step.say(f"left: {tell_leftovers(left)}")
            step.know(archive=found.path, state=found.manifest.state, verification=verification, left=left)

    def _recompute(self, bundle: "PackedBundle", job_id: str) -> "Verified":
        with self._narrator.step() as step:
            verified = self._client.verify(self._bucket_id, bundle.model_bundle_hash, job_id=job_id)
            step.say(f"from bundle {short(bundle.model_bundle_hash)} alone, in a new namespace")
            for phase in verified.phases:
                step.say(f"{phase.name:<18} {duration(phase.seconds):>6}")
            step.know(verified=verified)
        return verified

    def _compare(self, verified: "Verified") -> None:
        from livecalc.cli.views.recomputation import differences

        self.holds &= verified.success
        with self._narrator.step() as step:
            original, resumed = short(verified.original_result_hash), short(verified.resumed_result_hash)
            sign, word = ("=", good("MATCH")) if verified.match else ("≠", bad("MISMATCH"))
            step.say(f"{original} {sign} {resumed}   {word}")
            step.say(f"{verified.message} (target {verified.target_seconds:g}s)")
            step.say(differences(verified))
            step.know(match=verified.match, success=verified.success)

    def _end(self) -> dict[str, Any]:
        records = sum(entry.bucket_id == self._bucket_id for entry in self._client.audit(limit=1000))
        left = find_leftovers(self._platform, self._bucket_id)
        self._narrator.close(
            f"Left running: {tell_leftovers(left)}.",
            *what_now(self._bucket_id, records, stays=self._stays),
        )
        return {
            "bucket_id": self._bucket_id,
            "holds": self.holds,
            "seconds": round(self._narrator.seconds, 3),
            "steps": self._narrator.steps,
            "left": left,
            "audit_records": records,
        }

    def _abandon(self) -> None:
        """Leave nothing running: cancel the job and reap the bucket, unless that has been done."""
        if not self._begun:
            return
        note(f"Stopping: the job is cancelled, and {self._namespace} is reaped ...")
        try:
            with uninterrupted():
                reaped = self._client.reap(self._namespace, force=True)
        except NotFound:
            return
        except LivecalcError as error:
            note(f"{error.detail}: look with livecalc namespaces show {self._bucket_id}")
            return
        note(reaped.message)


def what_now(bucket_id: str, records: int, *, stays: bool) -> list[str]:
    """Say what the story leaves, where that `stays`, how to look at it; and what to do next."""
    livecalc = program()
    left = f"bundle, result, archive, {count(records, 'audit record')}"
    see = [f"Kept: {left}.", f"See: {livecalc} diagnostics show {bucket_id}"]
    return [
        *(see if stays else [f"Stored: {left}."]),
        f"Next: {livecalc} bundle init my-model && {livecalc} submit my-model --bucket b1 --wait",
    ]
