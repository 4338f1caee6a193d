"""The objects that a job and a bucket's namespace are made of, as an API server gets them."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest

from livecalc.cluster.kubernetes.cell import cell_objects, network_policy
from livecalc.cluster.kubernetes.manifests import job_manifest, pod_spec, secret_manifest
from livecalc.cluster.kubernetes.objects import Endpoint, EndpointSlice, Port
from livecalc.cluster.kubernetes.settings import CellSettings, PodSettings, Toleration
from livecalc.cluster.port import JobSpec, PodTemplate

TEMPLATE = PodTemplate(
    image="registry/worker@sha256:00",
    command=("sh", "-c", "kill -9 $$; echo $(pwd)"),
    env={"PRICE": "$(COST) $5"},
    secret={"TOKEN": "hush"},
    labels={"livecalc.io/job-id": "j-01jdx4m8k3q7"},
    cpu=0.25,
    memory=1 << 30,
)
SPEC = JobSpec(
    name="job", partitions=3, template=TEMPLATE, retries=2, final_exits=frozenset({11, 10}), deadline_seconds=90.5
)
SERVER = EndpointSlice(
    endpoints=(Endpoint(addresses=("10.0.0.1",)), Endpoint(addresses=("2001:db8::1",))), ports=(Port(port=6443),)
)


def test_a_job_is_indexed_tried_again_and_failed_by_its_first_lost_index() -> None:
    manifest: Any = job_manifest(SPEC, PodSettings())
    spec = manifest["spec"]
    template = spec.pop("template")

    assert manifest["metadata"] == {"name": "job", "labels": {"livecalc.io/job-id": "j-01jdx4m8k3q7"}}
    assert template["metadata"] == {"labels": {"livecalc.io/job-id": "j-01jdx4m8k3q7"}}
    assert spec == {
        "completionMode": "Indexed",
        "completions": 3,
        "parallelism": 3,
        "backoffLimitPerIndex": 2,
        "maxFailedIndexes": 0,
        "activeDeadlineSeconds": 91,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": "main", "operator": "In", "values": [10, 11]},
                },
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
    }


def test_a_pod_is_as_restricted_as_can_be() -> None:
    assert pod_spec(TEMPLATE, PodSettings(), secret="job", of_job=True) == {  # noqa: S106  (the name of a Secret)
        "restartPolicy": "Never",
        "serviceAccountName": "livecalc-worker",
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": "registry/worker@sha256:00",
                "command": ["sh", "-c", "kill -9 $$$$; echo $$(pwd)"],
                "workingDir": "/scratch",
                "env": [
                    {"name": "HOME", "value": "/scratch"},
                    {"name": "TMPDIR", "value": "/scratch"},
                    {"name": "PRICE", "value": "$$(COST) $$5"},
                    {"name": "LIVECALC_TERMINATION_MESSAGE", "value": "/dev/termination-log"},
                    {"name": "LIVECALC_SCRATCH", "value": "/scratch"},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "job", "key": "TOKEN"}}},
                    {"name": "LIVECALC_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                    {"name": "LIVECALC_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "LIVECALC_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                    {
                        "name": "LIVECALC_ATTEMPT",
                        "valueFrom": {
                            "fieldRef": {
                                "fieldPath": "metadata.annotations['batch.kubernetes.io/job-index-failure-count']"
                            }
                        },
                    },
                ],
                "resources": {
                    "requests": {"cpu": "250m", "memory": "1073741824"},
                    "limits": {"memory": "1073741824"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePath": "/dev/termination-log",
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "10Gi"}}],
    }


def test_settings_say_where_pods_run() -> None:
    settings = PodSettings(
        node_selector={"pool": "spot"},
        tolerations=(Toleration(key="spot", operator="Exists", effect="NoSchedule"),),
        priority_class="batch",
        image_pull_secrets=("registry",),
        grace_seconds=5,
    )

    spec = msgspec.json.decode(msgspec.json.encode(pod_spec(TEMPLATE, settings)))

    assert spec["nodeSelector"] == {"pool": "spot"}
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]
    assert spec["priorityClassName"] == "batch"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["terminationGracePeriodSeconds"] == 5


def test_a_secret_goes_with_its_job() -> None:
    assert secret_manifest(SPEC, "uid-1") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "job",
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "uid-1"}],
        },
        "stringData": {"TOKEN": "hush"},
    }


def test_nothing_gets_in_and_out_only_what_is_named() -> None:
    settings = CellSettings(egress=(ip_network("192.0.2.0/24"), ip_network("2001:db8:1::/48")))

    assert network_policy(settings, SERVER) == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }
                ],
                "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
            },
            {
                "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "2001:db8::1/128"}}],
                "ports": [{"protocol": "TCP", "port": 6443}],
            },
            {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}, {"ipBlock": {"cidr": "2001:db8:1::/48"}}]},
        ],
    }


def test_without_networks_of_ones_own_nothing_else_is_open() -> None:
    """An empty list of peers would mean all of them (networking/v1, NetworkPolicyEgressRule)."""
    policy: Any = network_policy(CellSettings(egress=()), EndpointSlice())

    assert [sorted(rule) for rule in policy["egress"]] == [["ports", "to"]]


def test_the_service_account_comes_last() -> None:
    objects = cell_objects("livecalc-bucket-q4", CellSettings(egress=()), SERVER)

    assert [target.path for target, _ in objects] == [
        "/api/v1/namespaces/livecalc-bucket-q4/resourcequotas/livecalc",
        "/api/v1/namespaces/livecalc-bucket-q4/limitranges/livecalc",
        "/apis/networking.k8s.io/v1/namespaces/livecalc-bucket-q4/networkpolicies/livecalc",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/livecalc-bucket-q4/rolebindings/livecalc-worker",
        "/api/v1/namespaces/livecalc-bucket-q4/serviceaccounts/livecalc-worker",
    ]
    assert objects[-1][1]["automountServiceAccountToken"] is False
    assert objects[3][1]["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "livecalc-worker",
    }


@pytest.mark.parametrize("seconds", [timedelta(hours=24).total_seconds(), 1.0, 0.2])
def test_a_deadline_is_never_shorter_than_asked(seconds: float) -> None:
    spec = JobSpec(name="job", partitions=1, template=TEMPLATE, deadline_seconds=seconds)

    manifest = msgspec.json.decode(msgspec.json.encode(job_manifest(spec, PodSettings())))

    assert seconds <= manifest["spec"]["activeDeadlineSeconds"] < seconds + 1
