"""How records are named on a tenant's shelf of results."""

from livecalc.domain.shelves import result_shelf


def results_container(tenant_key: str) -> str:
    """The container of a tenant's standard records and results, and of what is temporary: tasks and submit keys."""
    return result_shelf(tenant_key).container


JOBS = "jobs/"


def job_prefix(job_id: str) -> str:
    """Everything of one job."""
    return f"jobs/{job_id}/"


def submitted(job_id: str) -> str:
    """What was asked; written before anything runs."""
    return f"jobs/{job_id}/submitted.json"


def finished(job_id: str) -> str:
    """How it ended; written once, by whoever collects first."""
    return f"jobs/{job_id}/finished.json"


def cancelled(job_id: str) -> str:
    """The empty blob that says that somebody asked to cancel it; whether that came in time is in how it ended."""
    return f"jobs/{job_id}/cancelled"


def task(job_id: str) -> str:
    """What the workers are told; deleted when the job has ended, since it holds grants."""
    return f"jobs/{job_id}/task.json"


def partition(job_id: str, first: int, nonce: str) -> str:
    """One partition's results."""
    return f"jobs/{job_id}/partitions/{first}-{nonce}"


def log_prefix(job_id: str) -> str:
    """The workers' own copies of what they printed."""
    return f"jobs/{job_id}/logs/"


def log(job_id: str, first: int, attempt: int, nonce: str) -> str:
    """A worker's own copy of what one attempt printed."""
    return f"jobs/{job_id}/logs/{first}-{attempt}-{nonce}"


def recomputed_prefix(job_id: str) -> str:
    """The recorded recomputations of a job."""
    return f"jobs/{job_id}/recomputed/"


def recomputed(job_id: str, timestamp: str, nonce: str) -> str:
    """One recorded recomputation."""
    return f"{recomputed_prefix(job_id)}{timestamp}-{nonce}.json"


BUCKETS = "buckets/"


def bucket_prefix(bucket_id: str) -> str:
    """The index of a bucket's jobs."""
    return f"{BUCKETS}{bucket_id}/"


def index(bucket_id: str, job_id: str) -> str:
    """The empty blob that says a job is of a bucket."""
    return f"{bucket_prefix(bucket_id)}{job_id}"


def submit_key(bucket_id: str, digest: str) -> str:
    """The blob that says which job was submitted by a key; its content is the job's id."""
    return f"{key_prefix(bucket_id)}{digest}"


def key_prefix(bucket_id: str) -> str:
    """The submit keys of a bucket."""
    return f"keys/{bucket_id}/"


HOLDS = "holds/"
UNDER_WAY = "retention/"


def hold_prefix(bucket_id: str) -> str:
    """The legal holds on a bucket."""
    return f"{HOLDS}{bucket_id}/"


def hold(bucket_id: str, timestamp: str | None) -> str:
    """The blob that holds one archive of a bucket, or (None) all of the bucket."""
    return f"{hold_prefix(bucket_id)}{timestamp or 'all'}"


def under_way(key: str) -> str:
    """The mark of a deletion that retention has begun; it goes when the deletion is done and audited."""
    return f"{UNDER_WAY}{key}"
