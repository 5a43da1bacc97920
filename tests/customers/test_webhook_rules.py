"""Signatures, addresses and retries of webhooks."""

from __future__ import annotations

import pytest

from customers.webhooks.addresses import AddressError, AddressRules
from customers.webhooks.retries import (
    LONGEST_S,
    MOST_AGE_S,
    MOST_ATTEMPTS,
    Answer,
    delay_s,
    given_up,
)
from customers.webhooks.signing import headers, new_secret, signature

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAME, STAMP = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
BODY, SIGNED = b'{"test": 2432232314}', "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_the_published_one() -> None:
    assert signature(SECRET, NAME, STAMP, BODY) == SIGNED


def test_each_secret_signs_while_two_are_valid() -> None:
    other = new_secret()
    sent = headers((other, SECRET), NAME, STAMP, BODY)
    assert sent["webhook-signature"].split(" ") == [signature(other, NAME, STAMP, BODY), SIGNED]
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == (NAME, str(STAMP))
    assert len({new_secret() for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "100.64.0.1",
        "192.0.2.1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_networks_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(AddressError) as refused:
        AddressRules().check_resolved("a.example", ["93.184.215.14", address])
    assert address in refused.value.what


def test_public_networks_and_those_that_the_operator_allows_are_called() -> None:
    rules = AddressRules.of(["10.1.0.0/16", "127.0.0.1"])
    for address in ("93.184.215.14", "2606:2800:21f:cb07::1", "10.1.2.3", "127.0.0.1"):
        assert rules.check_resolved("a.example", [address]) == address
    for address in ("10.2.0.1", "127.0.0.2"):
        with pytest.raises(AddressError):
            rules.check_resolved("a.example", [address])
    with pytest.raises(AddressError):
        rules.check_resolved("a.example", [])


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "ftp://a.example/",
        "https://user:word@a.example/",
        "https:///path",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://a.example/#part",
        "https://a.example/ b",
        "https://a.example/\r\nx-key: 1",
        "https://ä.example/",
        "https://a.example/" + 2000 * "x",
        "https://[::1",
        "a.example",
        "",
    ],
)
def test_addresses_that_are_not_plain_https_are_refused(url: str) -> None:
    with pytest.raises(AddressError):
        AddressRules().check_url(url)


def test_the_host_and_the_port_of_an_address() -> None:
    assert AddressRules().check_url("https://a.example/hook?x=1") == ("a.example", 443)
    assert AddressRules().check_url("https://[2606:2800::1]:8443/") == ("2606:2800::1", 8443)
    assert AddressRules(http=True).check_url("http://127.0.0.1/") == ("127.0.0.1", 80)


def test_an_answer_of_the_two_hundreds_is_accepted() -> None:
    told = {status: Answer(status).accepted for status in (0, 199, 200, 299, 300, 410)}
    assert [status for status, accepted in told.items() if accepted] == [200, 299]


def test_waits_grow_to_a_bound_and_follow_the_receiver() -> None:
    down = Answer(0, "no connection")
    for failures in range(60):
        expected = min(LONGEST_S, 5.0 * 2.0**failures)
        assert 0.5 * expected <= delay_s(failures, down) <= 1.5 * expected
    assert len({delay_s(3, down) for _ in range(10)}) > 1
    assert delay_s(0, Answer(429, retry_after=900.0)) == 900.0
    assert delay_s(0, Answer(503, retry_after=1e9)) == LONGEST_S
    assert delay_s(0, Answer(500, retry_after=900.0)) < 10.0


def test_a_message_is_given_up_after_so_many_attempts_or_days() -> None:
    assert not given_up(MOST_ATTEMPTS - 1, MOST_AGE_S - 1)
    assert given_up(MOST_ATTEMPTS, 0.0)
    assert given_up(1, MOST_AGE_S)
    assert [Answer(status).accepted for status in (0, 199, 200, 204, 299, 301, 410)] == [
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert [Answer(status).gone for status in (404, 410)] == [False, True]
