"""An app that proves itself with a client secret."""

from infra.local.cloud import LocalCloud
from tests.support.entra import account_with, change_registration, refusal_of, token_by_secret


def test_a_wrong_secret_and_an_expired_one_have_different_numbers(cloud: LocalCloud) -> None:
    account = account_with(cloud, "secret", "usgov")

    assert refusal_of(token_by_secret, cloud, account, "wrong") == 7000215
    change_registration(cloud, account, trouble="secret_expired")
    assert refusal_of(token_by_secret, cloud, account, "wrong") == 7000215
    assert refusal_of(token_by_secret, cloud, account) == 7000222
    change_registration(cloud, account, trouble=None)
    assert token_by_secret(cloud, account)


def test_two_secrets_are_valid_during_a_rotation(cloud: LocalCloud) -> None:
    account = account_with(cloud, "secret", "global")
    change_registration(cloud, account, secrets=[account.client_secret, "new"])

    assert token_by_secret(cloud, account)
    assert token_by_secret(cloud, account, "new")
    change_registration(cloud, account, revoke=True)
    assert refusal_of(token_by_secret, cloud, account) == 7000215
    assert token_by_secret(cloud, account, "new")


def test_one_secret_replaces_the_others_at_once(cloud: LocalCloud) -> None:
    account = account_with(cloud, "secret", "global")
    change_registration(cloud, account, secret="new")

    assert refusal_of(token_by_secret, cloud, account) == 7000215
    assert token_by_secret(cloud, account, "new")
