"""Where records lie in a tenant's results container."""


def results_container(tenant_key: str) -> str:
    """The container of a tenant's job records and results."""
    return f"results-{tenant_key}"


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
    return f"keys/{bucket_id}/{digest}"
