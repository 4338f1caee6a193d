"""The story: seven steps in the life of one bucket, each told with its figures. What it began, it ends."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from livecalc.cli.archive import find
from livecalc.cli.demo.figures import ClosedForm
from livecalc.cli.demo.interrupt import uninterrupted
from livecalc.cli.demo.leftovers import Leftovers, find_leftovers
from livecalc.cli.demo.narrator import Narrator
from livecalc.cli.format import count, duration, number, short, size
from livecalc.cli.output import bad, good, note
from livecalc.cli.views.archives import draw_archive
from livecalc.cli.views.namespaces import show_plan
from livecalc.cli.waiting import follow
from livecalc.domain.buckets import namespace_name
from livecalc.domain.errors import Conflict, LivecalcError, ModelFailed, NotFound
from livecalc.domain.jobs import JobState

if TYPE_CHECKING:
    from livecalc.bundles.contents import PackedBundle
    from livecalc.client import Client
    from livecalc.wire.mttc import Verified

STEPS = ("pack", "submit", "run", "finalize", "reap", "recompute", "compare")
EXAMPLE = "term-life"


class Story:
    """One bucket's life on one platform; `home` is the folder of a platform on this machine."""

    def __init__(self, client: "Client", narrator: Narrator, *, bucket_id: str, home: Path | None) -> None:
        self._client = client
        self._narrator = narrator
        self._bucket_id = bucket_id
        self._namespace = namespace_name(bucket_id)
        self._home = home
        self._begun = False
        self.holds = True
        """Whether every check on the way held."""

    def tell(self) -> dict[str, Any]:
        """Tell it from the first step to the last, and return its figures. Ctrl-C and errors end the bucket, too."""
        from livecalc.bundles.examples import find_example

        example = find_example(EXAMPLE)
        try:
            with tempfile.TemporaryDirectory(prefix="livecalc-demo-") as scratch, ClosedForm(example) as closed_form:
                bundle = self._pack(example, Path(scratch))
                job_id = self._submit(bundle)
                self._run(job_id, closed_form)
                self._finalize()
                self._reap()
                verified = self._recompute(bundle, job_id)
                self._compare(verified)
        except BaseException:
            self._abandon()
            raise
        return self._end(bundle, job_id, verified)
