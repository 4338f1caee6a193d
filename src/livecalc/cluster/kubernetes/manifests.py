"""Builders: from a job's specification to the objects that make it up. Pure.

Kubernetes expands `$(NAME)` in commands and plain settings, and reads `$$` as `$`: both are written so that a container
gets what was meant.
"""

import math

from livecalc.cluster.kubernetes.settings import PodSettings
from livecalc.cluster.port import MAIN_CONTAINER, JobSpec, PodTemplate

ACCOUNT = "livecalc-worker"
SCRATCH = "/scratch"
TERMINATION_MESSAGE = "/dev/termination-log"

Json = dict[str, object]

_FAILURES = "batch.kubernetes.io/job-index-failure-count"
_FROM_POD = {
    "LIVECALC_NAMESPACE": "metadata.namespace",
    "LIVECALC_POD_NAME": "metadata.name",
    "LIVECALC_POD_UID": "metadata.uid",
}
_OF_JOB = {"LIVECALC_ATTEMPT": f"metadata.annotations['{_FAILURES}']"}


def job_manifest(spec: JobSpec, settings: PodSettings) -> Json:
    """The Job: one index for each partition, tried again by itself; the first that fails for good fails them all."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": spec.name, "labels": dict(spec.template.labels)},
        "spec": {
            "completionMode": "Indexed",
            "completions": spec.partitions,
            "parallelism": spec.partitions,
            "backoffLimitPerIndex": spec.retries,
            "maxFailedIndexes": 0,
            "activeDeadlineSeconds": math.ceil(spec.deadline_seconds),
            "podFailurePolicy": {"rules": _failure_rules(spec)},
            "template": {
                "metadata": {"labels": dict(spec.template.labels)},
                "spec": pod_spec(spec.template, settings, secret=spec.name, of_job=True),
            },
        },
    }


def secret_manifest(spec: JobSpec, uid: str) -> Json:
    """The Secret of a job's settings that nobody who lists pods may see; it goes with the job."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": spec.name, "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": spec.name, "ownerReferences": [owner]},
        "stringData": dict(spec.template.secret),
    }


def pod_spec(template: PodTemplate, settings: PodSettings, *, secret: str = "", of_job: bool = False) -> Json:
    """The specification of a pod with the one container `main`, as the `restricted` pod security level demands it."""
    spec: Json = {
        "restartPolicy": "Never",
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": of_job,
        "enableServiceLinks": False,
        # So that the command is not process 1, whom no signal ends that it does not handle: not even its own abort.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": settings.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": settings.user,
            "runAsGroup": settings.user,
            "fsGroup": settings.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(template, secret, of_job=of_job)],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": settings.scratch}}],
    }
    wishes: Json = {
        "nodeSelector": settings.node_selector,
        "tolerations": list(settings.tolerations),
        "priorityClassName": settings.priority_class,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    return spec | {key: wish for key, wish in wishes.items() if wish}


def _container(template: PodTemplate, secret: str, *, of_job: bool) -> Json:
    memory = str(template.memory)
    return {
        "name": MAIN_CONTAINER,
        "image": template.image,
        "command": [_literal(word) for word in template.command],
        "workingDir": SCRATCH,
        "env": _environment(template, secret, of_job=of_job),
        "resources": {
            "requests": {"cpu": f"{max(1, round(template.cpu * 1000))}m", "memory": memory},
            "limits": {"memory": memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_MESSAGE,
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }


def _environment(template: PodTemplate, secret: str, *, of_job: bool) -> list[Json]:
    fields = _FROM_POD | (_OF_JOB if of_job else {})
    plain = {
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        **template.env,
        "LIVECALC_TERMINATION_MESSAGE": TERMINATION_MESSAGE,
        "LIVECALC_SCRATCH": SCRATCH,
    }
    return [
        *({"name": name, "value": _literal(value)} for name, value in plain.items()),
        *({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}} for name in template.secret),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]


def _failure_rules(spec: JobSpec) -> list[Json]:
    """A final exit fails the job; a pod that the cluster took away counts for nothing and is made again."""
    final: Json = {
        "action": "FailJob",
        "onExitCodes": {"containerName": MAIN_CONTAINER, "operator": "In", "values": sorted(spec.final_exits)},
    }
    disrupted: Json = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return [final, disrupted] if spec.final_exits else [disrupted]


def _literal(text: str) -> str:
    return text.replace("$", "$$")
