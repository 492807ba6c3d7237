"""The operator's settings. Every bad setting is reported by its name, all at once, and without its value."""

import json
import re
from typing import Any

import pytest

from shared.caller_settings import KeyCaller
from shared.clouds import CLOUDS, Endpoints
from shared.errors import OurFault
from shared.settings import Account, Mode, Settings

GUID = "bd59b416-37f9-4d8f-8df3-5750111fc615"
ACCOUNT: dict[str, Any] = {
    "cloud": "global",
    "tenantId": GUID,
    "clientId": GUID,
    "clientSecret": "partner-center",
    "mode": "live",
}


def environ(account: dict[str, Any] | None = None, **more: str) -> dict[str, str]:
    return {
        "KEY_VAULT_URL": "https://kv.vault.azure.net/",
        "PARTNER_CENTER_ACCOUNTS": json.dumps({"default": ACCOUNT | (account or {})}),
        "PATH": "/usr/bin",
    } | more


def detail_of(settings: dict[str, str]) -> str:
    with pytest.raises(OurFault) as caught:
        Settings.from_environ(settings)
    assert caught.value.code == "misconfigured"
    return caught.value.detail


def account(**more: object) -> Account:
    return Settings.from_environ(environ(more)).accounts["default"]


def test_the_required_settings_are_enough() -> None:
    settings = Settings.from_environ(environ())

    assert settings.key_vault_url == "https://kv.vault.azure.net"
    assert (settings.deadline_s, settings.max_wait_s, settings.secret_ttl_s) == (8, 100, 900)
    assert settings.callers is None
    assert settings.accounts["default"].mode is Mode.LIVE


def test_a_blank_setting_counts_as_not_set() -> None:
    """Azure's portal sends a setting that was cleared as an empty text."""
    assert Settings.from_environ(environ(CANCEL_DEADLINE_S="", AZURE_CLIENT_ID="")).deadline_s == 8


@pytest.mark.parametrize("callers", ["", "  ", "{}", "null", "[]", "x"], ids=repr)
def test_blank_callers_never_mean_open(callers: str) -> None:
    assert "CALLERS" in detail_of(environ(CALLERS=callers))


def test_callers_are_read() -> None:
    callers = {"helpdesk": {"proof": "key", "sha256": "AB" * 32, "customers": [GUID.upper()], "dryRunOnly": True}}

    settings = Settings.from_environ(environ(CALLERS=json.dumps(callers)))

    assert settings.callers is not None
    helpdesk = settings.callers["helpdesk"]
    assert isinstance(helpdesk, KeyCaller)
    assert (helpdesk.sha256, helpdesk.customers, helpdesk.dry_run_only) == ("ab" * 32, frozenset({GUID}), True)


@pytest.mark.parametrize(
    "caller",
    [
        {},
        {"proof": "whsec_a real secret"},
        {"proof": ["whsec_a real secret"]},
        {"proof": "key"},
        {"proof": "key", "sha256": "ab"},
        {"proof": "key", "sha256": "ab" * 32, "secrets": ["a"]},
        {"proof": "zendesk", "secrets": []},
        {"proof": "zendesk", "secrets": ["whsec_a real secret"]},
        {"proof": "zendesk", "secrets": ["a"] * 9},
        {"proof": "standard-webhooks", "secrets": "a"},
        {"proof": "entra"},
        {"proof": "entra", "role": ""},
        {"proof": "entra", "role": "Orders.Cancel", "customers": []},
    ],
    ids=str,
)
def test_a_bad_caller_is_named_without_its_value(caller: dict[str, Any]) -> None:
    message = detail_of(environ(CALLERS=json.dumps({"helpdesk": caller})))

    assert "CALLERS.helpdesk" in message
    assert "whsec_" not in message


URL = {"url": "https://example.zendesk.com"}
TELLS: dict[str, dict[str, Any]] = {
    "zendesk": {"system": "zendesk", "clientId": "cancel_order", "secret": "oauth"} | URL,
    "freshdesk": {"system": "freshdesk", "secret": "key"} | URL,
    "freshservice": {"system": "freshservice", "secret": "key"} | URL,
    "jira": {"system": "jira", "user": "bot@example.com", "secret": "token"} | URL,
    "webhook": {"system": "webhook", "urlSecret": "url", "secret": "signing"},
}


def caller_that_tells(tell: object) -> dict[str, str]:
    return environ(CALLERS=json.dumps({"helpdesk": {"proof": "key", "sha256": "ab" * 32, "tell": tell}}))


@pytest.mark.parametrize("tell", TELLS.values(), ids=TELLS)
def test_a_callers_tickets_can_be_told(tell: dict[str, Any]) -> None:
    callers = Settings.from_environ(caller_that_tells(tell)).callers

    assert callers is not None
    found = callers["helpdesk"].tell
    assert found is not None
    assert found.model_dump(by_alias=True, exclude_none=True) == tell
    assert set(found.secrets) == {tell[name] for name in ("secret", "urlSecret") if name in tell}


@pytest.mark.parametrize("url", ["https://example.zendesk.com/", "https://127.0.0.1:8443"])
def test_the_address_of_a_ticketing_system_is_an_origin(url: str) -> None:
    callers = Settings.from_environ(caller_that_tells(TELLS["freshdesk"] | {"url": url})).callers

    assert callers is not None
    assert callers["helpdesk"].tell is not None
    assert callers["helpdesk"].tell.url == url.rstrip("/")


@pytest.mark.parametrize(
    "tell",
    [
        None,
        {},
        "zendesk",
        TELLS["zendesk"] | {"system": "whsec_a real secret"},
        {name: value for name, value in TELLS["zendesk"].items() if name != "clientId"},
        {name: value for name, value in TELLS["jira"].items() if name != "user"},
        {name: value for name, value in TELLS["freshdesk"].items() if name != "url"},
        {name: value for name, value in TELLS["freshdesk"].items() if name != "secret"},
        {name: value for name, value in TELLS["webhook"].items() if name != "urlSecret"},
        TELLS["webhook"] | URL,
        TELLS["freshdesk"] | {"user": "bot"},
        TELLS["freshdesk"] | {"secret": "whsec_a real secret"},
        TELLS["freshdesk"] | {"token": "a"},
        TELLS["jira"] | {"user": "bot:whsec_a"},
        TELLS["zendesk"] | {"clientId": "a b"},
        *(
            TELLS["zendesk"] | {"url": url}
            for url in (
                "http://example.zendesk.com",
                "https://example.zendesk.com/api",
                "https://user@example.zendesk.com",
                "https://example.zendesk.com?whsec_",
                "https://example.zendesk.com#whsec_",
                "https://example.zendesk.com:0",
                "https://example.zendesk.com:whsec_",
                "https://example.zendesk.com\n",
                "//example.zendesk.com",
            )
        ),
    ],
    ids=str,
)
def test_a_bad_tell_is_named_without_its_value(tell: object) -> None:
    message = detail_of(caller_that_tells(tell))

    assert re.search(r"CALLERS\.helpdesk\.key\.tell", message)
    assert "whsec_" not in message


@pytest.mark.parametrize(
    ("enabled", "checked"), [("True", True), ("true", True), ("False", False), ("", False), ("1", False), (None, False)]
)
def test_entra_is_checked_only_while_azure_says_so(enabled: str | None, checked: bool) -> None:
    given = environ() | ({} if enabled is None else {"WEBSITE_AUTH_ENABLED": enabled})

    assert Settings.from_environ(given).is_entra_checked is checked


@pytest.mark.parametrize("cloud", CLOUDS)
def test_each_cloud_has_its_endpoints(cloud: str) -> None:
    assert account(cloud=cloud).endpoints == CLOUDS[cloud]


def test_an_account_overrides_its_clouds_endpoints() -> None:
    found = account(apiRoot="https://a.example/", authority="https://b.example", audience="https://c.example")

    assert found.endpoints == Endpoints(
        "https://a.example", "https://b.example", "https://c.example", "api://AzureADTokenExchange"
    )


@pytest.mark.parametrize(
    ("credential", "secrets"),
    [
        ({"clientSecret": "a"}, {"clientSecret": "a"}),
        ({"certificate": "a"}, {"certificate": "a"}),
        ({"clientSecret": "a", "refreshToken": "b"}, {"clientSecret": "a", "refreshToken": "b"}),
        ({"managedIdentity": True}, {}),
        ({}, None),
        ({"managedIdentity": False}, None),
        ({"refreshToken": "b"}, None),
        ({"clientSecret": "a", "certificate": "b"}, None),
        ({"clientSecret": "a", "managedIdentity": True}, None),
        ({"certificate": "a", "refreshToken": "b"}, None),
    ],
    ids=str,
)
def test_an_account_has_one_kind_of_credential(credential: dict[str, Any], secrets: dict[str, str] | None) -> None:
    plain = {name: value for name, value in ACCOUNT.items() if name != "clientSecret"}
    settings = environ() | {"PARTNER_CENTER_ACCOUNTS": json.dumps({"default": plain | credential})}

    if secrets is None:
        assert "PARTNER_CENTER_ACCOUNTS.default: needs one kind of credential" in detail_of(settings)
    else:
        assert Settings.from_environ(settings).accounts["default"].secrets == secrets


def test_germany_is_refused_with_the_reason() -> None:
    assert "closed on 2021-10-29" in detail_of(environ({"cloud": "germany"}))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"cloud": "moon"}, "default.cloud", id="cloud"),
        pytest.param({"tenantId": "contoso.com"}, "default.tenantId", id="tenant"),
        pytest.param({"clientId": ""}, "default.clientId", id="client"),
        pytest.param({"clientSecret": "a~real.secret"}, "default.clientSecret", id="secret-instead-of-its-name"),
        pytest.param({"mode": "Live"}, "default.mode", id="mode"),
        pytest.param({"mode": None}, "default.mode", id="mode-null"),
        pytest.param({"customers": []}, "default.customers", id="no-customers"),
        pytest.param({"customers": ["x"]}, "default.customers", id="customer"),
        pytest.param({"apiRoot": "http://a.example"}, "default.apiRoot", id="plain-http"),
        pytest.param({"authority": "https://user@a.example"}, "default.authority", id="user-in-url"),
        pytest.param({"audience": "https://a.example/?x=1"}, "default.audience", id="query-in-url"),
        pytest.param({"apiRoot": "https://[::1"}, "default.apiRoot", id="broken-url"),
        pytest.param({"apiRoot": "https://a.example/b/../c"}, "default.apiRoot", id="dot-segments"),
        pytest.param({"apiRoot": "https://a.example/."}, "default.apiRoot", id="dot-segment-at-the-end"),
        pytest.param({"apiRoot": "https://a.example:99999"}, "default.apiRoot", id="port"),
        pytest.param({"apiRoot": "https://a.example:0"}, "default.apiRoot", id="port-0"),
        pytest.param({"apiRoot": "https://a.example\n.b"}, "default.apiRoot", id="newline-in-url"),
        pytest.param({"apiRoot": "https://:s@a.example"}, "default.apiRoot", id="password-in-url"),
        pytest.param({"bogus": 1}, "default.bogus", id="unknown"),
    ],
)
def test_a_bad_account_is_named_without_its_value(change: dict[str, Any], where: str) -> None:
    message = detail_of(environ(change))

    assert f"PARTNER_CENTER_ACCOUNTS.{where}" in message
    assert "a~real.secret" not in message


SCOPES = ("accounts", "customers", "dryRunOnly")
SCOPES_THAT_NAME_NOTHING: dict[str, object] = {
    "null": None,
    "empty": [],
    "empty-object": {},
    "empty-text": "",
    "a-null": [None],
}


@pytest.mark.parametrize("scope", SCOPES_THAT_NAME_NOTHING.values(), ids=SCOPES_THAT_NAME_NOTHING)
@pytest.mark.parametrize("kind", [{"proof": "key", "sha256": "ab" * 32}, {"proof": "zendesk", "secrets": ["a"]}])
def test_a_scope_that_names_nothing_does_not_mean_everything(kind: dict[str, Any], scope: object) -> None:
    """A script writes `null` or an empty list for a value that it did not find; its author meant a limit."""
    in_account = detail_of(environ({"customers": scope}))
    in_callers = {name: detail_of(environ(CALLERS=json.dumps({"a": kind | {name: scope}}))) for name in SCOPES}

    assert "PARTNER_CENTER_ACCOUNTS.default.customers" in in_account
    assert all(f"CALLERS.a.{kind['proof']}.{name}" in message for name, message in in_callers.items())


def test_a_scope_that_is_null_is_refused_in_words() -> None:
    assert "must not be null; leave it out instead" in detail_of(environ({"customers": None}))


def test_an_account_has_no_default_mode() -> None:
    """Somebody must decide whether real orders are cancelled."""
    accounts = {"default": {name: value for name, value in ACCOUNT.items() if name != "mode"}}

    assert "default.mode" in detail_of(environ(PARTNER_CENTER_ACCOUNTS=json.dumps(accounts)))


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"KEY_VAULT_URL": ""}, "KEY_VAULT_URL"),
        ({"KEY_VAULT_URL": "http://kv"}, "KEY_VAULT_URL"),
        ({"PARTNER_CENTER_ACCOUNTS": ""}, "PARTNER_CENTER_ACCOUNTS"),
        ({"PARTNER_CENTER_ACCOUNTS": "{}"}, "PARTNER_CENTER_ACCOUNTS"),
        ({"PARTNER_CENTER_ACCOUNTS": '{"a": {"clientSecret": "s3cret'}, "PARTNER_CENTER_ACCOUNTS"),
        ({"PARTNER_CENTER_ACCOUNTS": '{"a": {}, "a": {}}'}, "PARTNER_CENTER_ACCOUNTS"),
        ({"PARTNER_CENTER_ACCOUNTS": '{"a b": {}}'}, "PARTNER_CENTER_ACCOUNTS"),
        ({"PARTNER_CENTER_ACCOUNTS": "[" * 100_000}, "PARTNER_CENTER_ACCOUNTS"),
        ({"CANCEL_DEADLINE_S": "soon"}, "CANCEL_DEADLINE_S"),
        ({"CANCEL_DEADLINE_S": "0"}, "CANCEL_DEADLINE_S"),
        ({"CANCEL_DEADLINE_S": "nan"}, "CANCEL_DEADLINE_S"),
        ({"CANCEL_MAX_WAIT_S": "101"}, "CANCEL_MAX_WAIT_S"),
        ({"SECRET_TTL_S": "-1"}, "SECRET_TTL_S"),
    ],
)
def test_a_bad_setting_is_named(more: dict[str, str], name: str) -> None:
    message = detail_of(environ() | more)

    assert name in message
    assert "s3cret" not in message


def test_every_bad_setting_is_named_at_once() -> None:
    message = detail_of(environ({"cloud": "moon", "mode": "x"}, KEY_VAULT_URL="", CANCEL_DEADLINE_S="x", CALLERS=""))

    for name in ("KEY_VAULT_URL", "default.cloud", "default.mode", "CANCEL_DEADLINE_S", "CALLERS"):
        assert name in message


def test_subscriptions_are_opt_in_for_an_account_and_can_be_taken_from_a_caller() -> None:
    """An upgrade must widen nobody's authority."""
    assert (account().subscriptions, account().sandbox) == (False, False)
    assert account(subscriptions=True, sandbox=True).subscriptions is True
    callers = {"own": {"proof": "key", "sha256": "0" * 64}, "limited": {"proof": "key", "sha256": "1" * 64}}
    callers["limited"]["subscriptions"] = False  # type: ignore[assignment]
    found = Settings.from_environ(environ(CALLERS=json.dumps(callers))).callers or {}
    assert {name: caller.subscriptions for name, caller in found.items()} == {"own": True, "limited": False}


@pytest.mark.parametrize("value", ["true", "yes", 1, None, [True]])
def test_a_switch_that_is_no_boolean_opens_nothing(value: object) -> None:
    assert "subscriptions" in detail_of(environ({"subscriptions": value}))
