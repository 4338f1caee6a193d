"""What people read when an API server refuses: one sentence that names what, where, and what to do."""

import pytest

from livecalc.cluster.kubernetes.api import Answer, Call
from livecalc.cluster.kubernetes.failures import Status, meaning, read_status
from livecalc.cluster.kubernetes.targets import NAMESPACES, Target, inside, jobs, pods
from livecalc.domain.errors import AlreadyExists, Conflict, LivecalcError, NotFound, PreconditionFailed, Unavailable

CLUSTER = "kubernetes, context prod"
CLAIMS = inside("livecalc-bucket-q4", "persistentvolumeclaims")
Q4 = NAMESPACES.at("livecalc-bucket-q4")


def refused(account: str, verb: str) -> bytes:
    """As an API server says it (k8s.io/apiserver, `forbiddenMessage`)."""
    user = f"system:serviceaccount:livecalc-platform:{account}"
    return (
        f'{{"kind":"Status","status":"Failure","reason":"Forbidden","code":403,"message":"things is forbidden: '
        f'User \\"{user}\\" cannot {verb} resource \\"things\\" in API group \\"\\" in the namespace \\"x\\""}}'
    ).encode()


@pytest.mark.parametrize(
    ("target", "body", "sentence"),
    [
        (
            CLAIMS.at("data"),
            refused("livecalc-cleanup-worker", "delete"),
            (
                "cleanup worker may not delete persistentvolumeclaims in namespace livecalc-bucket-q4: "
                "apply k8s/jobs/cleanup-worker.yaml"
            ),
        ),
        (
            jobs("livecalc-bucket-q4"),
            refused("livecalc-api", "create"),
            "API may not create jobs in namespace livecalc-bucket-q4: apply k8s/api",
        ),
        (
            pods("livecalc-bucket-q4").at("worker-1").having("log"),
            refused("livecalc-worker", "get"),
            "worker may not get pods/log in namespace livecalc-bucket-q4: apply k8s/api/worker-role.yaml",
        ),
        (
            Q4,
            refused("somebody", "get"),
            (
                "user system:serviceaccount:livecalc-platform:somebody may not get namespaces: "
                "have whoever runs the cluster give it that right"
            ),
        ),
        (
            Q4,
            b'{"reason":"Forbidden","message":"the image is not signed"}',
            (
                "kubernetes, context prod: cannot create namespace livecalc-bucket-q4: "
                "it is forbidden (the image is not signed)"
            ),
        ),
    ],
)
def test_a_missing_right_is_named(target: Target, body: bytes, sentence: str) -> None:
    error = meaning(CLUSTER, "create", target, 403, read_status(body))

    assert isinstance(error, Unavailable)
    assert error.detail == sentence


@pytest.mark.parametrize(
    ("code", "target", "body", "kind", "sentence"),
    [
        (
            404,
            pods("q4").at("worker-1"),
            b'{"reason":"NotFound","details":{"name":"q4","kind":"namespaces"}}',
            NotFound,
            "there is no namespace q4",
        ),
        (404, pods("q4").at("worker-1"), b"{}", NotFound, "there is no pod worker-1 in namespace q4"),
        (404, CLAIMS.at("data"), b"", NotFound, "there is no volume claim data in namespace livecalc-bucket-q4"),
        (
            409,
            Q4,
            b'{"reason":"AlreadyExists","message":"object is being deleted: namespaces \\"q4\\" already exists"}',
            AlreadyExists,
            "namespace livecalc-bucket-q4 is being deleted; try again when it is gone",
        ),
        (
            409,
            Q4,
            b'{"reason":"Conflict"}',
            PreconditionFailed,
            "namespace livecalc-bucket-q4 was changed since it was read; read it again",
        ),
        (
            403,
            jobs("q4").at("job"),
            b'{"message":"jobs.batch \\"job\\" is forbidden: exceeded quota: livecalc, requested: count/jobs.batch=1"}',
            Conflict,
            (
                'there is no room for job job in namespace q4: jobs.batch "job" is forbidden: '
                "exceeded quota: livecalc, requested: count/jobs.batch=1"
            ),
        ),
        (
            502,
            Q4,
            b"<html>\n <h1>Bad gateway</h1>\n</html>",
            Unavailable,
            (
                "kubernetes, context prod: cannot get namespace livecalc-bucket-q4: "
                "it answered 502 (<html> <h1>Bad gateway</h1> </html>)"
            ),
        ),
    ],
)
def test_each_answer_has_its_sentence(
    code: int, target: Target, body: bytes, kind: type[LivecalcError], sentence: str
) -> None:
    error = meaning(CLUSTER, "get", target, code, read_status(body))

    assert type(error) is kind
    assert error.detail == sentence


@pytest.mark.parametrize("body", [b'{"message":"\xff"}', b'{"x":' + b"[" * 5000])
def test_an_answer_that_cannot_be_read_is_an_error_of_the_platform(body: bytes) -> None:
    assert read_status(body).message.startswith(body.decode(errors="replace")[:10])
    answer = Answer(cluster=CLUSTER, call=Call(verb="get", target=Q4), status=200, body=body)
    with pytest.raises(Unavailable, match="its answer about namespace livecalc-bucket-q4 cannot be read"):
        answer.read(Status)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_leads_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(NotFound):
        _ = pods("q4").at(name).path
    with pytest.raises(NotFound):
        _ = pods(name).at("worker-1").path


def test_a_name_is_one_segment() -> None:
    assert pods("../x").at("a/b?c").path == "/api/v1/namespaces/..%2Fx/pods/a%2Fb%3Fc"
