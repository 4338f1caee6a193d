"""The cluster's certificates, made anew for each start by openssl: one authority, and a key for each that speaks.

They begin a day ago, so that a process whose clock is behind (a test turns it) still trusts them.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .place import API_SERVICE_ADDRESS, CERTIFICATES, NODE, NODE_ADDRESS

AUTHORITY = CERTIFICATES / "ca.crt"
SERVICE_ACCOUNT_KEY = CERTIFICATES / "service-account.key"
SERVICE_ACCOUNT_PUBLIC_KEY = CERTIFICATES / "service-account.pub"
_AUTHORITY_KEY = CERTIFICATES / "ca.key"
_CURVE = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
_AUTHORITY_MAY = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign"
_CONFIGURATION = """\
[ca]
default_ca = cluster
[cluster]
new_certs_dir = {folder}
database = {folder}/index
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anything
[anything]
organizationName = optional
commonName = supplied
[req]
distinguished_name = none
prompt = no
[none]
[extensions]
{extensions}
"""


@dataclass(frozen=True)
class Identity:
    """Whom a certificate speaks for, and at which names it serves (openssl's form: `DNS:localhost`)."""

    file: str
    name: str
    group: str = ""
    serves: tuple[str, ...] = ()

    @property
    def certificate(self) -> Path:
        """Where its certificate lies."""
        return CERTIFICATES / f"{self.file}.crt"

    @property
    def key(self) -> Path:
        """Where its private key lies."""
        return CERTIFICATES / f"{self.file}.key"


API_SERVER = Identity(
    "apiserver",
    "kube-apiserver",
    serves=(
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
        "IP:127.0.0.1",
        f"IP:{API_SERVICE_ADDRESS}",
        f"IP:{NODE_ADDRESS}",
    ),
)
KUBELET_SERVER = Identity("kubelet-server", f"system:node:{NODE}", serves=(f"DNS:{NODE}", f"IP:{NODE_ADDRESS}"))
KUBELET_CLIENT = Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
FRONT_PROXY = Identity("front-proxy", "front-proxy-client")
ADMIN = Identity("admin", "kubernetes-admin", "system:masters")
CONTROLLER_MANAGER = Identity("controller-manager", "system:kube-controller-manager")
SCHEDULER = Identity("scheduler", "system:kube-scheduler")
KUBELET = Identity("kubelet", f"system:node:{NODE}", "system:nodes")
PROXY = Identity("proxy", "system:kube-proxy")
_ALL = (
    API_SERVER,
    KUBELET_SERVER,
    KUBELET_CLIENT,
    FRONT_PROXY,
    ADMIN,
    CONTROLLER_MANAGER,
    SCHEDULER,
    KUBELET,
    PROXY,
)


def make_certificates() -> None:
    """Write the authority, the service accounts' key, and a certificate and key of each identity."""
    CERTIFICATES.mkdir(mode=0o700)
    _key(SERVICE_ACCOUNT_KEY)
    _openssl("pkey", "-in", str(SERVICE_ACCOUNT_KEY), "-pubout", "-out", str(SERVICE_ACCOUNT_PUBLIC_KEY))
    _key(_AUTHORITY_KEY)
    _sign(Identity("ca", "livecalc-cluster"), _AUTHORITY_MAY, "-selfsign")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(_issue, _ALL))


def _issue(identity: Identity) -> None:
    _key(identity.key)
    use = "serverAuth" if identity.serves else "clientAuth"
    extensions = ["basicConstraints = critical, CA:FALSE", f"extendedKeyUsage = {use}"]
    if identity.serves:
        extensions.append(f"subjectAltName = {', '.join(identity.serves)}")
    _sign(identity, "\n".join(extensions), "-cert", str(AUTHORITY))


def _sign(identity: Identity, extensions: str, *by: str) -> None:
    folder = CERTIFICATES / f"{identity.file}.work"  # openssl's own books: one for each, since they run side by side
    folder.mkdir()
    (folder / "index").touch()
    configuration = folder / "configuration"
    configuration.write_text(_CONFIGURATION.format(folder=folder, extensions=extensions))
    begin = datetime.now(UTC) - timedelta(days=1)
    group = f"/O={identity.group}" if identity.group else ""
    request = folder / "request"
    common = ("-config", str(configuration))
    _openssl(
        "req", "-new", *common, "-key", str(identity.key), "-subj", f"{group}/CN={identity.name}", "-out", str(request)
    )
    _openssl(
        *("ca", "-batch", "-notext", *common, "-extensions", "extensions", *by, "-keyfile", str(_AUTHORITY_KEY)),
        *("-startdate", _openssl_time(begin), "-enddate", _openssl_time(begin + timedelta(days=365))),
        *("-in", str(request), "-out", str(identity.certificate)),
    )


def _key(path: Path) -> None:
    _openssl("genpkey", *_CURVE, "-out", str(path))


def _openssl_time(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%SZ}"


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
