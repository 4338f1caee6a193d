"""The route table: every endpoint with what it takes and answers. The application and OpenAPI are made from it."""

from typing import Any

from livecalc.api.endpoints import audit, bundles, diagnostics, jobs, mttc, namespaces, retention, system
from livecalc.api.forms import SubmitFields
from livecalc.api.lines import delete, get, json, post, public
from livecalc.api.metrics import CONTENT_TYPE as METRICS
from livecalc.api.route import Answer, Body, Route
from livecalc.wire import media
from livecalc.wire.diagnostics import (
    Archive,
    ArchiveVerification,
    AuditEntry,
    AuditVerification,
    Reindexed,
    SentinelViolation,
)
from livecalc.wire.jobs import BundlePushed, Job, Result, Submitted
from livecalc.wire.mttc import Verified, VerifyRequest
from livecalc.wire.namespaces import Namespace, NamespaceCreated, Reaped
from livecalc.wire.retention import Hold, HoldRequest
from livecalc.wire.status import Health, Status

_FORM = "multipart/form-data"
HOLDS = "/v1/platform/retention/holds"
_TABLES = tuple(kind for name, kind in media.RESULT_FORMATS.items() if name != "json")


_SYSTEM = (
    public("/healthz", "Tell whether the process lives", system.health, json(Health, "It does.")),
    public(
        "/readyz",
        "Tell whether every part answers that requests need",
        system.readiness,
        json(Health, "All do."),
        problems={503: "One does not; the detail names it."},
    ),
    public(
        "/metrics",
        "Read this process's counters",
        system.metrics_text,
        Answer(media_types=(METRICS,), description="Prometheus' text format."),
    ),
    public(
        "/openapi.json", "Read this document", system.openapi, Answer(body=dict[str, Any], description="OpenAPI 3.1.")
    ),
    public(
        "/docs", "Read this document as a page", system.docs, Answer(media_types=("text/html",), description="A page.")
    ),
    public(
        "/.well-known/jwks.json",
        "Read the public keys of the local identity",
        system.jwks,
        Answer(body=dict[str, Any], media_types=("application/jwk-set+json",), description="A JWK set (RFC 7517)."),
        problems={404: "Tokens come from another party here."},
    ),
    get(
        "/v1/platform/status",
        "See who you are, and what answers",
        system.status,
        answers={200: json(Status, "The caller and the platform.")},
    ),
)

_NAMESPACES = (
    post(
        "/v1/platform/namespaces",
        "Create a bucket's namespace",
        namespaces.create_namespace,
        query=namespaces.CreateQuery,
        answers={
            201: json(NamespaceCreated, "It is new."),
            200: json(NamespaceCreated, "It is active already."),
        },
        problems={409: "The bucket id is not available; its own tenant is told why."},
    ),
    get(
        "/v1/platform/namespaces",
        "List namespaces",
        namespaces.list_namespaces,
        query=namespaces.ListQuery,
        answers={200: json(list[Namespace], 'By name; `Link: rel="next"` leads to the next page.')},
    ),
    get(
        "/v1/platform/namespaces/{namespace}",
        "Read a namespace",
        namespaces.get_namespace,
        answers={200: json(Namespace, "The namespace.")},
    ),
    post(
        "/v1/platform/namespaces/{namespace}/finalize",
        "Take no more work; the next sweep archives and deletes it",
        namespaces.finalize_namespace,
        query=namespaces.ForceQuery,
        answers={200: json(Namespace, "It is finalized, now or before.")},
        problems={409: "Jobs still run; the detail names them."},
    ),
    post(
        "/v1/platform/namespaces/{namespace}/reap",
        "Archive and delete a namespace now",
        namespaces.reap_namespace,
        query=namespaces.ReapQuery,
        answers={200: json(Reaped, "What was archived; `success` is false when it failed after it was claimed.")},
        problems={409: "Pods still run, or another worker holds the claim."},
    ),
)

_BUNDLES = (
    post(
        "/v1/bundles",
        "Upload a model bundle",
        bundles.push_bundle,
        answers={201: json(BundlePushed, "It is new."), 200: json(BundlePushed, "The same bytes are there already.")},
        problems={413: "It is over a limit."},
        body=Body(media_type=media.BUNDLE, description="The archive's bytes, streamed."),
    ),
    get(
        "/v1/bundles/{model_bundle_hash}",
        "Find a bundle by its hash, or the first 8 or more digits of it",
        bundles.get_bundle,
        answers={200: json(BundlePushed, "The whole hash, and its size in bytes.")},
    ),
)

_JOBS = (
    post(
        "/v1/jobs/submit",
        "Submit a job",
        jobs.submit_job,
        answers={202: json(Submitted, "It is on its way; `Location` is where to look.")},
        problems={
            404: "There is no such bundle.",
            409: "The bucket takes no work.",
            413: "The bundle is over a limit.",
        },
        body=Body(
            media_type=_FORM,
            type=SubmitFields,
            file="bundle",
            description="Either the file `bundle` or `model_bundle_hash`.",
        ),
    ),
    get(
        "/v1/jobs",
        "List jobs",
        jobs.list_jobs,
        query=jobs.JobsQuery,
        answers={200: json(list[Job], "Newest first.")},
    ),
    get(
        "/v1/jobs/{job_id}",
        "Read a job",
        jobs.get_job,
        answers={200: json(Job, "The job, also after its namespace is gone.")},
    ),
    get(
        "/v1/jobs/{job_id}/logs",
        "Read a job's log",
        jobs.job_logs,
        query=jobs.LogsQuery,
        answers={
            200: Answer(media_types=(media.TEXT,), description="From the pods while they live, from the archive after.")
        },
    ),
    get(
        "/v1/jobs/{job_id}/result",
        "Read a job's result",
        jobs.job_result,
        query=jobs.ResultQuery,
        answers={
            200: Answer(
                body=Result, media_types=(media.JSON, *_TABLES), description="A summary, or the arrays by `Accept`."
            )
        },
        problems={406: "`Accept` names no form there is.", 409: "The job has no result, or not yet."},
    ),
    get(
        "/v1/jobs/{job_id}/events",
        "Follow a job to its end",
        jobs.job_events,
        answers={
            200: Answer(media_types=(media.EVENTS,), description="One `job` event with the whole job for each change.")
        },
    ),
    post(
        "/v1/jobs/{job_id}/cancel",
        "Cancel a job",
        jobs.cancel_job,
        answers={202: json(Job, "The job; one that has ended stays as it is.")},
    ),
)

_PLATFORM = (
    post(
        "/v1/platform/mttc/verify",
        "Recompute a run and compare it",
        mttc.verify_run,
        answers={200: json(Verified, "Match or mismatch, in time or late.")},
        problems={404: "There is no such run.", 409: "The run has no result to compare with."},
        body=Body(media_type=media.JSON, type=VerifyRequest, description="Without `job_id` the latest succeeded job."),
    ),
    get(
        "/v1/platform/diagnostics",
        "List archives",
        diagnostics.list_archives,
        query=diagnostics.ArchivesQuery,
        answers={200: json(list[Archive], "By bucket and time.")},
    ),
    get(
        "/v1/platform/diagnostics/sentinel-violations",
        "List the sentinel violations of all archives",
        diagnostics.list_violations,
        query=diagnostics.ViolationsQuery,
        answers={200: json(list[SentinelViolation], "Newest first.")},
    ),
    post(
        "/v1/platform/diagnostics/reindex",
        "Make the index of sentinel violations anew from the archives",
        diagnostics.reindex_violations,
        query=diagnostics.ReindexQuery,
        answers={200: json(Reindexed, "How the index was found, and whether it is equal to the archives now.")},
    ),
    get(
        "/v1/platform/diagnostics/verify",
        "Check all archives",
        diagnostics.verify_archives,
        answers={
            200: Answer(
                media_types=(media.LINES,), description="One JSON object on a line for each archive, as it is checked."
            )
        },
    ),
    get(
        "/v1/platform/diagnostics/{bucket_id}/{timestamp}",
        "Read an archive's manifest",
        diagnostics.get_manifest,
        answers={200: Answer(body=dict[str, Any], description="The manifest as it is stored.")},
    ),
    get(
        "/v1/platform/diagnostics/{bucket_id}/{timestamp}/verify",
        "Check an archive against its manifest, its schema and the audit record",
        diagnostics.verify_archive,
        query=diagnostics.VerifyQuery,
        answers={200: json(ArchiveVerification, "Whether it holds.")},
    ),
    get(
        "/v1/platform/diagnostics/{bucket_id}/{timestamp}/{path:path}",
        "Read a blob of an archive",
        diagnostics.get_blob,
        answers={
            200: Answer(media_types=(media.BYTES, media.TEXT, media.JSON), description="The blob."),
            206: Answer(media_types=(media.BYTES, media.TEXT, media.JSON), description="The range asked for."),
            304: Answer(media_types=(), description="The blob that `If-None-Match` names."),
        },
        problems={416: "The range lies outside the blob."},
    ),
    get(
        HOLDS,
        "List legal holds",
        retention.list_holds,
        answers={200: json(list[Hold], "By bucket and archive.")},
    ),
    post(
        HOLDS,
        "Hold an archive, or everything of a bucket",
        retention.place_hold,
        answers={201: json(Hold, "Nothing under it is deleted until it is released.")},
        problems={404: "The caller's tenant has no such archive or bucket.", 409: "It is held, or deleted, already."},
        body=Body(media_type=media.JSON, type=HoldRequest, description="Without `timestamp` the whole bucket."),
    ),
    delete(
        HOLDS,
        "Release a legal hold",
        retention.release_hold,
        query=retention.HoldQuery,
        answers={200: json(Hold, "The hold that was there.")},
        problems={404: "There is no such hold."},
    ),
    get(
        audit.PATH,
        "Read the audit record",
        audit.list_audit,
        query=audit.AuditQuery,
        answers={200: json(list[AuditEntry], 'Newest first; `Link: rel="next"` leads to the next page.')},
    ),
    get(
        "/v1/platform/audit/verify",
        "Check the audit record",
        audit.verify_audit,
        query=audit.HeadsQuery,
        answers={200: json(AuditVerification, "Whether it holds, and the first bad record.")},
    ),
)

ROUTES: tuple[Route, ...] = (*_SYSTEM, *_NAMESPACES, *_BUNDLES, *_JOBS, *_PLATFORM)
"""In the order of the documents; where two paths fit, the first is taken."""
