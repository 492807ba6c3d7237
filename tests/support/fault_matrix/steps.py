"""Brings a call to a step, finds the requests of the step, and asks for the fault."""

import json
import ssl

import httpx

from tests.conftest import CUSTOMER
from tests.support.answers import Answer
from tests.support.fault_matrix.cells import Cell, software_order_id
from tests.support.fault_matrix.faults import ALL_FAULTS, BOM, CREDENTIAL_STEPS, ELSEWHERE, Step
from tests.support.local_cloud import Json, LocalCloud

LARGE_BYTES = 10_000_000  # in place of 100 MB for the Azure SDKs, which read all of it
PREPARING_WAIT_S = 30
DRY_RUNS_LIMIT = 5
REFUSED_AS_DONE: Json = {"code": "800061", "description": "The order cannot be cancelled."}


def spare_order_id(account: str) -> str:
    """Return the id of an order that only dry runs of *account* look at."""
    return software_order_id(f"spare-{account}")


def dry_run(cloud: LocalCloud, account: str) -> Answer:
    """Let the function get a token for *account* and read an order with it."""
    body = {"customerTenantId": CUSTOMER, "orderId": spare_order_id(account), "account": account, "dryRun": True}
    return Answer.of(cloud.post(body, prefer=f"wait={PREPARING_WAIT_S}"))


def prepare(cloud: LocalCloud, cell: Cell, account: str) -> None:
    """Bring the function and the order to where the next call takes the step."""
    path = _path(cell)
    match cell.step:
        case Step.IDENTITY | Step.KEY_VAULT | Step.DISCOVERY | Step.TOKEN:
            _drop_token(cloud, account)
        case Step.PATCH_OF_CANCELLED | Step.GET_AFTER_REFUSAL:
            response = cloud.post(
                {"customerTenantId": CUSTOMER, "orderId": cell.order_id, "account": account},
                prefer=f"wait={PREPARING_WAIT_S}",
            )
            assert response.json()["outcome"] == "cancelled"
        case Step.GET_AFTER_LOST_PATCH:
            cloud.fault(method="PATCH", path=path, hang_up="after")
            cloud.fault(method="PATCH", path=path, status=400, body=REFUSED_AS_DONE)
        case Step.GET_AFTER_UNREADABLE:
            cloud.fault(method="PATCH", path=path, body="unreadable")
        case Step.LOOK_AT_TERM_END:
            cloud.fault(method="GET", path=path)  # the one before the PATCH passes
        case Step.LOOK_AFTER_UNREADABLE:
            cloud.fault(method="GET", path=path)
            cloud.fault(method="PATCH", path=path, body="unreadable")
        case Step.LOOK_AFTER_REFUSAL:
            # Somebody else deletes it between the answer to the GET and the PATCH, which is then refused with 2011.
            deleted = cloud.subscription(cell.licence.subscription_id) | {"status": "deleted"}
            cloud.fault(method="GET", path=path, put_subscription=deleted)


def _path(cell: Cell) -> str:
    """Return the pattern of the paths of the step's requests to Partner Center."""
    if cell.step is Step.LIST_SUBSCRIPTIONS:
        return f"/subscriptions\\?order_id={cell.order_id}$"
    return f"/{cell.licence.subscription_id if cell.is_of_subscription else cell.order_id}$"


def _drop_token(cloud: LocalCloud, account: str) -> None:
    """Leave the function without a token of *account*, though with its secret if it keeps secrets.

    Partner Center refuses the token, and Entra ID fails when the function asks for another, with a Retry-After that
    leaves no time for a repeat. A former cell may have left faults over; dry runs use them up.
    """
    tenant_id = cloud.description["accounts"][account]["tenantId"]
    cloud.fault(service="entra", method="POST", path=tenant_id, status=503, headers={"retry-after": "59"})
    answer: Answer | None = None
    for _ in range(DRY_RUNS_LIMIT):
        if answer is None or answer.status == 200:
            cloud.fault(method="GET", path=f"/{spare_order_id(account)}$", status=401)
        answer = dry_run(cloud, account)
        if answer.code == "credentials_unavailable":
            return
    raise AssertionError(f"the function keeps a token of {account}")


def requests_of(cloud: LocalCloud, cell: Cell, account: str) -> dict[str, str]:
    """Return service, method and path of the step's requests, as `POST /faults` takes them."""
    known = cloud.description["accounts"][account]
    match cell.step:
        case Step.IDENTITY:
            return {"service": "identity", "method": "GET", "path": ""}
        case Step.KEY_VAULT:
            return {"service": "key_vault", "method": "GET", "path": f"/{known['secretName']}/"}
        case Step.DISCOVERY:
            return {"service": "entra", "method": "GET", "path": known["tenantId"]}
        case Step.TOKEN:
            return {"service": "entra", "method": "POST", "path": known["tenantId"]}
        case Step.PATCH | Step.PATCH_OF_CANCELLED | Step.PATCH_SUBSCRIPTION | Step.PATCH_TERM_END:
            return {"service": "partner_center", "method": "PATCH", "path": _path(cell)}
        case _:
            return {"service": "partner_center", "method": "GET", "path": _path(cell)}


def ask_for_fault(cloud: LocalCloud, cell: Cell, account: str) -> None:
    fault = dict(ALL_FAULTS[cell.fault].control)
    if cell.fault == "redirect":
        fault["headers"] = {"location": f"{cloud.description['partnerCenterUrl']}{ELSEWHERE}"}
    elif cell.fault == "byte order mark":
        fault["body"] = BOM + _usual_body(cloud, cell, account)
    elif "body_bytes" in fault and cell.step in CREDENTIAL_STEPS:
        fault["body_bytes"] = LARGE_BYTES
    cloud.fault(**requests_of(cloud, cell, account), **fault, times=cell.failures)


def _usual_body(cloud: LocalCloud, cell: Cell, account: str) -> str:
    """Return the body that the step is answered with when nothing is wrong."""
    match cell.step:
        case Step.IDENTITY | Step.KEY_VAULT | Step.DISCOVERY | Step.TOKEN:
            return _usual_credential(cloud, cell.step, account)
        case Step.PATCH_OF_CANCELLED:
            return json.dumps(REFUSED_AS_DONE)
        case Step.GET_BEFORE_LINES:
            return json.dumps(cloud.order(cell.order_id))
        case _ if cell.is_of_subscription:
            return json.dumps(_usual_subscription(cell.step, cloud.subscription(cell.licence.subscription_id)))
        case _:
            return json.dumps(cloud.order(cell.order_id) | {"status": "cancelled"})


def _usual_subscription(step: Step, subscription: Json) -> Json:
    match step:
        case Step.GET_SUBSCRIPTION:
            return subscription
        case Step.LIST_SUBSCRIPTIONS:
            return {"totalCount": 1, "items": [subscription]}
        case _:
            return subscription | {"status": "deleted"}


def _usual_credential(cloud: LocalCloud, step: Step, account: str) -> str:
    described, known = cloud.description, cloud.description["accounts"][account]
    entra = f"{described['entraUrl']}/{known['tenantId']}"
    tls = ssl.create_default_context(cafile=described["caFile"])
    with httpx.Client(verify=tls, trust_env=False) as http:
        match step:
            case Step.IDENTITY:
                environment = described["environment"]
                resource = described["keyVaultUrl"].replace("//127.", "//")
                header = {"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]}
                query = {"resource": resource, "client_id": environment["AZURE_CLIENT_ID"]}
                return http.get(environment["IDENTITY_ENDPOINT"], params=query, headers=header).text
            case Step.KEY_VAULT:
                url = f"{described['keyVaultUrl']}/secrets/{known['secretName']}/{'0' * 32}"
                return json.dumps({"value": known["clientSecret"], "id": url, "attributes": {"enabled": True}})
            case Step.DISCOVERY:
                return http.get(f"{entra}/v2.0/.well-known/openid-configuration").text
            case _:
                form = {
                    "grant_type": "client_credentials",
                    "client_id": known["clientId"],
                    "client_secret": known["clientSecret"],
                    "scope": "https://api.partnercenter.microsoft.com/.default",
                }
                return http.post(f"{entra}/oauth2/v2.0/token", data=form).text
