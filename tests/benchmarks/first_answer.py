"""`python -m tests.benchmarks.first_answer SCRIPT CUSTOMER ORDER`: run from the start to the first answer.

*ours* does what a new worker does: load the runtime, load the function, answer a call. *bare* is a script with the
same packages and requests and nothing else, so the difference is the function's own cost. Prints the time of each mark
in seconds since 1970, as JSON.
"""

import time

STARTED = time.time()

import asyncio  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import uuid  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

# httpx loads its command line and rich if click is installed. In Azure click is not installed.
sys.modules["click"] = None  # type: ignore[assignment]

# Each function has imports of its own, because their time is measured too.
# ruff: noqa: PLC0415


async def ours(customer: str, order: str) -> dict[str, float]:
    from infra.local.functions.worker import Worker

    logging.basicConfig(level=logging.INFO, stream=io.StringIO())
    worker = await Worker.start(ROOT)
    imported = time.time()

    from shared import runtime

    runtime.worker()  # it is cached; otherwise the first call would create it
    ready = time.time()

    status, _, body = await worker.invoke(
        "cancel_order",
        method="POST",
        url="https://cancel.azurewebsites.net/api/cancel_order",
        headers={"content-type": "application/json"},
        body=json.dumps({"customerTenantId": customer, "orderId": order}).encode(),
    )
    if status != 200 or json.loads(body)["outcome"] != "cancelled":
        sys.exit(f"{status} {body!r}")
    return {"imported": imported, "ready": ready}


async def bare(customer: str, order: str) -> dict[str, float]:
    import anyio  # noqa: F401
    import azure.functions  # noqa: F401
    import httpx
    from pydantic import BaseModel, StringConstraints  # noqa: F401

    from infra.local.functions.worker import Worker

    Worker(ROOT)  # loads the runtime's messages, but no app
    imported = time.time()

    [account] = json.loads(os.environ["PARTNER_CENTER_ACCOUNTS"]).values()
    http = httpx.AsyncClient()
    ready = time.time()

    from azure.identity import ClientSecretCredential, ManagedIdentityCredential
    from azure.keyvault.secrets import SecretClient

    identity = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
    vault = SecretClient(os.environ["KEY_VAULT_URL"], identity)
    secret = vault.get_secret(account["clientSecret"]).value or ""
    credential = ClientSecretCredential(
        account["tenantId"],
        account["clientId"],
        secret,
        authority=account["authority"],
        disable_instance_discovery=True,
    )
    token = credential.get_token("https://api.partnercenter.microsoft.com/.default").token
    response = await http.patch(
        f"{account['apiRoot']}/v1/customers/{customer}/orders/{order}",
        json={"id": order, "status": "cancelled"},
        headers={"Authorization": f"Bearer {token}", "MS-RequestId": str(uuid.uuid4())},
    )
    if response.json()["status"] != "cancelled":
        sys.exit(f"{response.status_code} {response.text}")
    return {"imported": imported, "ready": ready}


async def main(script: str, customer: str, order: str) -> None:
    marks = await {"ours": ours, "bare": bare}[script](customer, order)
    marks |= {"started": STARTED, "answered": time.time()}
    sys.stdout.write(json.dumps(marks))
    sys.stdout.flush()
    os._exit(0)  # as the host ends a worker, without the time after the answer


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
