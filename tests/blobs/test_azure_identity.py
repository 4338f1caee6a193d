"""An account without a key: the identity that azure-identity finds, and grants by delegation keys."""

import json
import os
import subprocess
import sys
from pathlib import Path

import blobstore
from support.authority import TENANT, authority, make_certificate

SCRIPT = Path(__file__).with_name("identity_run.py")


def test_an_identity_writes_and_signs(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    options = ("--oauth", "basic", "--cert", str(certificate), "--key", str(key))
    with blobstore.azurite(*options) as setting, authority(certificate, key) as host:
        ended = run(address_of(setting), tmp_path, certificate, {"AZURE_AUTHORITY_HOST": host})
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert (seen["stored"], seen["fetched"]) == ("result", "result")
    assert seen["signed by"] == "a delegation key"
    assert "Azure's delegation keys live 7 days" in seen["too long"]
    assert seen["listed"] == "a"
    assert seen["keys"] == "00112", "one key for two grants, another for a longer one, and one before that ends"


def test_no_token_is_one_sentence(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    options = ("--oauth", "basic", "--cert", str(certificate), "--key", str(key))
    with blobstore.azurite(*options) as setting:
        ended = run(address_of(setting), tmp_path, certificate, {"AZURE_AUTHORITY_HOST": "https://127.0.0.1:1"})
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert "AZURE_BLOB_ACCOUNT_URL names blob store 127.0.0.1:" in last
    assert "no token could be had for it (EnvironmentCredential: " in last
    assert "DefaultAzureCredential" not in ended.stderr, "the vendor's own words come before ours"


def address_of(connection_string: str) -> str:
    fields = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    return fields["BlobEndpoint"].replace("http://", "https://")


def run(address: str, folder: Path, certificate: Path, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    identity = {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": "99999999-8888-7777-6666-555555555555",
        "AZURE_CLIENT_SECRET": "x",
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",  # no other is looked for: they would ask the network
        "SSL_CERT_FILE": str(certificate),
    }
    command = [sys.executable, str(SCRIPT), address, str(folder)]
    return subprocess.run(
        command, env={**env, **identity, **more}, capture_output=True, text=True, timeout=120, check=False
    )
