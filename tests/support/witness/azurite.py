"""Azurite, Microsoft's emulator, as the witness for the stand-in of Queue Storage.

tests/samples/azurite.json is what Azurite was seen to do. `make test` holds the stand-in to it, with the same clients:
Microsoft's SDK and plain requests. Azurite does not check the signature of a token.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from infra.local.entra.signing import Signer
from infra.local.storage_queue import ACCOUNT
from tests.support.local_cloud import ROOT
from tests.support.storage_queue import QueueService, serving_storage_queue
from tests.support.waiting import wait_until
from tests.support.witness.own_client import observe_own_client
from tests.support.witness.queue_observations import (
    QUEUE,
    Seen,
    observe_answers,
    observe_limits,
    observe_messages,
    observe_the_rest,
    observe_tokens,
)
from tests.support.witness.queue_users import AnyQueueUser, RestUser, SdkUser

RECORDED = ROOT / "tests/samples/azurite.json"
ENVIRONMENT = ROOT / ".venv-witness"
NODE = ENVIRONMENT / "bin/node"
PACKAGE = ENVIRONMENT / "node_modules/azurite"
STOP_LIMIT_S = 10.0
# Node ends when its standard input does: when we close it, and when we are killed.
END_WITH_INPUT = 'data:text/javascript,process.stdin.on("end", () => process.exit()).resume()'
OPTIONS = ("--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--oauth", "basic")

NO_CODE = "Azurite refuses what its parser cannot read without a code, which every error of the real service has"
NO_VERSION = "Azurite looks at no version, here also because its list is older than the SDK"
NO_CHALLENGE = "Azurite has no challenge yet: its source says so"


def _refusal(status: int, code: str, *members: str, headers: tuple[str, ...] = ()) -> Seen:
    return {
        "status": status,
        "headers": [*headers, "x-ms-error-code", "x-ms-request-id", "x-ms-version"],
        "code": code,
        "type": "application/xml",
        "xml": {"Error": [f"Code: {code}", "Message", *members]},
    }


def _challenge(code: str, *details: str) -> tuple[str, Seen]:
    members = [f"AuthenticationErrorDetail: {detail}" for detail in details]
    return NO_CHALLENGE, _refusal(401, code, *members, headers=("www-authenticate",))


_MISSING = (NO_CODE, _refusal(400, "MissingRequiredQueryParameter", "QueryParameterName"))
_OLD_VERSION = _refusal(
    403,
    "AuthenticationFailed",
    "AuthenticationErrorDetail: Authentication scheme Bearer is not supported in this version.",
)

# Each difference has its reason, and what the stand-in does.
KNOWN_DIFFERENCES: dict[str, tuple[str, Any]] = {
    "sdk: put: it lives for -2": (NO_CODE, "400 InvalidQueryParameterValue"),
    "rest: put: it lives for -2": (NO_CODE, "400 InvalidQueryParameterValue"),
    "rest: get: no message": (NO_CODE, "400 OutOfRangeQueryParameterValue"),
    "answer: update without a receipt": _MISSING,
    "answer: update without a delay": _MISSING,
    "answer: delete without a receipt": _MISSING,
    "answer: put: the delay is no number": (
        NO_CODE,
        _refusal(400, "InvalidQueryParameterValue", "QueryParameterName", "QueryParameterValue", "Reason"),
    ),
    "answer: put: no XML": (NO_CODE, _refusal(400, "InvalidXmlDocument")),
    "token: no version": (
        NO_VERSION,
        _OLD_VERSION | {"headers": [name for name in _OLD_VERSION["headers"] if name != "x-ms-version"]},
    ),
    "token: a version before tokens": (NO_VERSION, _OLD_VERSION),
    "token: a version that is none": (
        NO_VERSION,
        _refusal(400, "InvalidHeaderValue", "HeaderName", "HeaderValue"),
    ),
    "token: no token": _challenge("NoAuthenticationInformation"),
    "token: a broken token": _challenge("InvalidAuthenticationInfo", "Signature validation failed."),
    "token: signed by another key": (
        "Azurite does not look at signatures",
        _challenge("InvalidAuthenticationInfo", "Signature validation failed.")[1],
    ),
    **{
        f"token: {name}": _challenge("InvalidAuthenticationInfo", detail)
        for name, detail in {
            "for Key Vault": "Audience validation failed. Audience did not match.",
            "for a list of audiences": "Audience validation failed. Audience did not match.",
            "of a v2 issuer": "Issuer validation failed. Issuer did not match.",
            "expired": "Lifetime validation failed. The token is expired.",
            "not yet valid": "Lifetime validation failed. The token is not yet valid.",
        }.items()
    },
}


def observe(service: QueueService) -> Seen:
    """Return all that is seen of *service*, which is new. Each name begins with the client that was used."""
    seen: Seen = {}
    with service.sdk() as sdk, service.http() as http:
        users: dict[str, AnyQueueUser] = {"sdk": SdkUser(sdk), "rest": RestUser(http, service.url)}
        for client, user in users.items():
            users["rest"].create(QUEUE)
            users["rest"].clear(QUEUE)
            found = observe_messages(user, service.pass_time)
            found |= observe_limits(user)
            found |= observe_the_rest(user, service.pass_time)
            seen |= {f"{client}: {name}": value for name, value in found.items()}
        users["rest"].clear(QUEUE)
        seen |= {f"own: {name}": value for name, value in observe_own_client(service).items()}
        seen |= {f"answer: {name}": value for name, value in observe_answers(service, http).items()}
        seen |= {f"token: {name}": value for name, value in observe_tokens(service, http).items()}
    return seen


def compare(recorded: Seen, stand_in: Seen) -> list[str]:
    """Return the differences that nobody has explained, and the explanations that explain nothing."""
    expected = recorded | {name: value for name, (_, value) in KNOWN_DIFFERENCES.items()}
    differences = [
        f"{name}: expected {expected.get(name)}, the stand-in: {stand_in.get(name)}"
        for name in sorted(expected.keys() | stand_in.keys())
        if expected.get(name) != stand_in.get(name)
    ]
    needless = [f"{name}: no difference" for name in KNOWN_DIFFERENCES if recorded.get(name) == expected[name]]
    return differences + needless


def witness(*, record: bool) -> list[str]:
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    with tempfile.TemporaryDirectory() as folder, serving_azurite(Path(folder)) as azurite:
        seen = observe(azurite)
    with tempfile.TemporaryDirectory() as folder, serving_storage_queue(Path(folder)) as service:
        stand_in = observe(service)
    if record:
        lines = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in seen.items())
        RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    recorded = json.loads(RECORDED.read_text())
    changed = [
        f"{name}: Azurite changed" for name in recorded.keys() | seen.keys() if recorded.get(name) != seen.get(name)
    ]
    differences = changed + compare(seen, stand_in)
    sys.stdout.write(
        f"Azurite {version} and the stand-in: {len(seen)} observations, {len(KNOWN_DIFFERENCES)} known differences,"
        f" {len(differences)} others\n"
    )
    return differences


@contextmanager
def serving_azurite(directory: Path) -> Iterator[QueueService]:
    """Run Azurite's queue service. *directory* takes its certificates and files."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(directory / "certificate.pem")
    script = PACKAGE / "dist/src/queue/main.js"
    address = ("--queueHost", "127.0.0.1", "--queuePort", "0")
    tls = ("--cert", "certificate.pem", "--key", "key.pem")
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [NODE, "--import", END_WITH_INPUT, script, *address, *tls, *OPTIONS],
            cwd=directory,
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:a2V5"},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    try:
        yield QueueService(f"{_address(process, log)}/{ACCOUNT}", directory / "ca.pem", time.sleep, Signer())
    finally:
        try:
            process.communicate(timeout=STOP_LIMIT_S)  # closes its input
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address from the line with which Azurite says that it listens."""
    line = re.compile(r"successfully listens on (https://\S+)\n")
    wait_until(lambda: line.search(log.read_text()) or process.poll() is not None, "Azurite does not listen")
    found = line.search(log.read_text())
    if not found:
        raise RuntimeError(f"Azurite ended with status {process.poll()}:\n{log.read_text()}")
    return found[1]
