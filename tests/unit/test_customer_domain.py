"""A customer named by a domain: the forms that are taken, and every other form refused in words."""

from typing import Any

import pytest

from tests.support.cancel_request import CUSTOMER, ORDER, WHOLE, parse, refused

ADVICE = "send one of the customer's domains, such as contoso.com"
NO_DOMAIN = f"is no domain; {ADVICE}"
PLACEHOLDER = "looks like a placeholder that was not filled in; check the template"
LINK = "is a link; send only the domain in it"
E_MAIL = "looks like an e-mail address; send only what follows the @"
EMPTY = "is empty; the field was not filled in"
LABEL_63 = "a" * 63
LONGEST = f"{LABEL_63}.{LABEL_63}.{LABEL_63}.{'b' * 57}.com"  # 253 characters


def by_domain(domain: object, **members: object) -> dict[str, Any]:
    return {"customerDomain": domain, "orderId": ORDER} | members


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        pytest.param("contoso.com", "contoso.com", id="plain"),
        pytest.param("Contoso.COM", "contoso.com", id="any-case"),
        pytest.param(" \t contoso.com\u00a0\n", "contoso.com", id="in-blanks"),
        pytest.param("contoso.com.", "contoso.com", id="trailing-dot"),
        pytest.param("contoso.onmicrosoft.com", "contoso.onmicrosoft.com", id="onmicrosoft"),
        pytest.param("a.b.c.d.example", "a.b.c.d.example", id="deep"),
        pytest.param("1und1.de", "1und1.de", id="digit-first"),
        pytest.param("123.example", "123.example", id="digits-before-the-end"),
        pytest.param("x--y.example", "x--y.example", id="hyphens-inside"),
        pytest.param("www.contoso.com", "www.contoso.com", id="www"),
        pytest.param("xn--bcher-kva.example", "xn--bcher-kva.example", id="punycode"),
        pytest.param("bücher.example", "xn--bcher-kva.example", id="idn"),
        pytest.param("BÜCHER.Example", "xn--bcher-kva.example", id="idn-in-capitals"),
        pytest.param("bu\u0308cher.example", "xn--bcher-kva.example", id="idn-decomposed"),
        pytest.param("bücher.example.", "xn--bcher-kva.example", id="idn-trailing-dot"),
        pytest.param("bücher。example。", "xn--bcher-kva.example", id="idn-ideographic-dots"),
        pytest.param("straße.example", "xn--strae-oqa.example", id="sharp-s"),
        pytest.param("例え.テスト", "xn--r8jz45g.xn--zckzah", id="japanese"),
        pytest.param("ｃｏｎｔｏｓｏ.com", "contoso.com", id="full-width"),
        pytest.param("con\u200btoso.com", "contoso.com", id="zero-width-space"),
        pytest.param(f"{LABEL_63}.com", f"{LABEL_63}.com", id="longest-label"),
        pytest.param(LONGEST, LONGEST, id="longest"),
        pytest.param(f"{LONGEST}.", LONGEST, id="longest-with-trailing-dot"),
    ],
)
def test_a_domain_is_put_in_lower_case_and_punycode(domain: str, expected: str) -> None:
    request = parse(by_domain(domain))

    assert (request.customer_domain, request.customer_tenant_id) == (expected, None)


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        pytest.param("", EMPTY, id="empty"),
        pytest.param(" \n", EMPTY, id="blank"),
        pytest.param(CUSTOMER, f"looks like a tenant id, which belongs into customerTenantId; {ADVICE}", id="tenant"),
        pytest.param(
            f"{{{CUSTOMER.upper()}}}",
            f"looks like a tenant id, which belongs into customerTenantId; {ADVICE}",
            id="tenant-in-braces",
        ),
        pytest.param("https://contoso.com", LINK, id="link"),
        pytest.param("contoso.com/about", LINK, id="link-without-scheme"),
        pytest.param("contoso.com/", LINK, id="slash"),
        pytest.param("//contoso.com", LINK, id="slashes"),
        pytest.param("https://x@contoso.com/", LINK, id="link-with-user"),
        pytest.param("admin@contoso.com", E_MAIL, id="e-mail"),
        pytest.param("@contoso.com", E_MAIL, id="at"),
        pytest.param("{{ticket.organization.domain}}", PLACEHOLDER, id="zendesk"),
        pytest.param("${domain}", PLACEHOLDER, id="servicenow"),
        pytest.param("<domain>", PLACEHOLDER, id="angles"),
        pytest.param("[::1]", PLACEHOLDER, id="ipv6-in-brackets"),
        pytest.param("contoso", NO_DOMAIN, id="one-label"),
        pytest.param("contoso.", NO_DOMAIN, id="one-label-with-dot"),
        pytest.param("common", NO_DOMAIN, id="common"),
        pytest.param("consumers", NO_DOMAIN, id="consumers"),
        pytest.param("Contoso Ltd.", NO_DOMAIN, id="a-company"),
        pytest.param("192.0.2.1", NO_DOMAIN, id="ipv4"),
        pytest.param("2001:db8::1", NO_DOMAIN, id="ipv6"),
        pytest.param("contoso.com:443", NO_DOMAIN, id="port"),
        pytest.param("contoso.com?x=1", NO_DOMAIN, id="query"),
        pytest.param("contoso.com#x", NO_DOMAIN, id="fragment"),
        pytest.param("contoso%2ecom", NO_DOMAIN, id="escaped"),
        pytest.param("contoso.com\\x", NO_DOMAIN, id="backslash"),
        pytest.param("contoso.com, fabrikam.com", NO_DOMAIN, id="two"),
        pytest.param("*.contoso.com", NO_DOMAIN, id="wildcard"),
        pytest.param("_dmarc.contoso.com", NO_DOMAIN, id="underscore"),
        pytest.param("-contoso.com", NO_DOMAIN, id="hyphen-first"),
        pytest.param("contoso-.com", NO_DOMAIN, id="hyphen-last"),
        pytest.param(".contoso.com", NO_DOMAIN, id="dot-first"),
        pytest.param("contoso..com", NO_DOMAIN, id="empty-label"),
        pytest.param("contoso.com..", NO_DOMAIN, id="two-trailing-dots"),
        pytest.param("...", NO_DOMAIN, id="dots"),
        pytest.param("conto\x00so.com", NO_DOMAIN, id="null-byte"),
        pytest.param("conto\nso.com", NO_DOMAIN, id="line-break"),
        pytest.param("☃☃.☃", NO_DOMAIN, id="no-letters"),
        pytest.param("bücher", NO_DOMAIN, id="idn-of-one-label"),
        pytest.param("ü" * 70_000 + ".com", NO_DOMAIN, id="idn-much-too-long"),
        pytest.param("ü." * 300 + "com", NO_DOMAIN, id="idn-too-many-labels"),
        pytest.param(f"{LABEL_63}a.com", NO_DOMAIN, id="label-too-long"),
        pytest.param(f"a{LONGEST}", NO_DOMAIN, id="too-long"),
    ],
)
def test_any_other_form_is_told_in_words(value: str, mistake: str) -> None:
    error = refused(by_domain(value))

    assert [(fault.pointer, fault.message) for fault in error.errors] == [("/customerDomain", mistake)]


@pytest.mark.parametrize("value", [5, True, ["contoso.com"], {"domain": "contoso.com"}])
def test_another_type_is_refused(value: object) -> None:
    assert [fault.pointer for fault in refused(by_domain(value)).errors] == ["/customerDomain"]


def test_half_a_surrogate_pair_is_refused() -> None:
    assert [fault.pointer for fault in refused(by_domain("\ud800.com")).errors] == ["/customerDomain"]


@pytest.mark.parametrize(
    ("change", "pointer", "message"),
    [
        pytest.param(
            {"customerTenantId": None},
            "/customerTenantId",
            "is missing; send customerTenantId, or customerDomain",
            id="neither",
        ),
        pytest.param(
            {"customerDomain": "contoso.com"},
            "/customerTenantId",
            "must not be sent beside customerDomain; send one of the two",
            id="both",
        ),
        pytest.param(
            {"customerDomain": None}, "/customerDomain", "must not be null; leave it out instead", id="domain-null"
        ),
        pytest.param(
            {"customerDomain": None, "customerTenantId": None},
            "/customerDomain",
            "must not be null; leave it out instead",
            id="both-null",
        ),
        pytest.param({"customerDomain": "contoso"}, "/customerDomain", NO_DOMAIN, id="a-wrong-domain-beside-a-tenant"),
    ],
)
def test_exactly_one_of_tenant_and_domain_is_needed(change: dict[str, Any], pointer: str, message: str) -> None:
    assert [(fault.pointer, fault.message) for fault in refused(WHOLE | change).errors] == [(pointer, message)]


def test_neither_is_one_mistake() -> None:
    assert [fault.pointer for fault in refused({"orderId": ORDER}).errors] == ["/customerTenantId"]


def test_a_tenant_that_is_null_is_as_good_as_left_out() -> None:
    assert parse(by_domain("contoso.com", customerTenantId=None)).customer_domain == "contoso.com"


def test_both_mistakes_are_told() -> None:
    faults = refused({"customerDomain": "contoso", "customerTenantId": "12345", "orderId": ORDER}).errors

    assert [fault.pointer for fault in faults] == ["/customerDomain", "/customerTenantId"]
