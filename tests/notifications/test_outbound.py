"""What may be dialled and what is sent: no private address in any disguise, no redirect, always a signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from typing import Any

import pytest

from callcenter.insights.notifications import channels, outbound, sealing
from callcenter.insights.notifications.outbound import OutboundFailed, OutboundRefused
from tests.notifications.receiver import Receiver

BODY = {"version": 1, "id": "event-1", "event": "test"}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1",
    ],
)  # fmt: skip
def test_no_disguise_makes_a_private_address_public(address: str) -> None:
    assert not outbound.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert outbound.is_public(address)


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example.org", "ftp://example.org/", "file:///etc/passwd", "http://example.org/", "https://",
     "https://user:pass@example.org/", "https://example.org:99999/", "https://exa mple.org/", "https://example.org:0/"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(OutboundRefused) as caught:
        outbound.parse(url)
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_webhook_to_this_machine_is_refused_and_nothing_arrives(receiver: Receiver, host: str) -> None:
    with pytest.raises((OutboundRefused, OutboundFailed)):
        channels.send_webhook(f"https://{host}:{receiver.port}/", BODY, secrets=["s"])
    assert receiver.got == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(OutboundRefused, match="private"):
        outbound.resolve("two-faced.example.org", 443)


def test_the_checked_address_is_dialled_though_the_name_changes_its_mind(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, private_allowed: None
) -> None:
    asked: list[Any] = []
    real = socket.getaddrinfo

    def fickle(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host == "fickle.example.org":
            address = "127.0.0.1" if asked.count(host) == 1 else "127.0.0.2"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, receiver.port))]
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", fickle)
    channels.send_webhook(f"http://fickle.example.org:{receiver.port}/x", BODY, secrets=["s"])
    assert asked.count("fickle.example.org") == 1
    assert receiver.got[0][1]["host"] == f"fickle.example.org:{receiver.port}"


def test_the_signature_holds_with_the_secret_and_breaks_with_any_change(
    receiver: Receiver, private_allowed: None
) -> None:
    channels.send_webhook(receiver.url, BODY, secrets=["new", "old"])
    path, headers, body = receiver.got[0]
    assert path == "/hook" and json.loads(body) == BODY
    stamp = headers["x-callcenter-timestamp"]
    assert abs(int(stamp) - time.time()) < channels.REPLAY_SECONDS
    signatures = headers["x-callcenter-signature"].split(",")
    made = ["v1=" + hmac.new(s, stamp.encode() + b"." + body, hashlib.sha256).hexdigest() for s in (b"new", b"old")]
    assert signatures == made
    assert channels.sign("new", int(stamp) + 1, body) not in signatures
    assert channels.sign("new", int(stamp), body + b" ") not in signatures


def test_a_redirect_is_not_followed(receiver: Receiver, private_allowed: None) -> None:
    receiver.answers.append((302, "", {"Location": receiver.url + "/secret"}))
    with pytest.raises(OutboundFailed, match="redirects are not followed"):
        channels.send_webhook(receiver.url, BODY, secrets=["s"])
    assert len(receiver.got) == 1


def test_of_a_long_answer_little_is_kept_and_no_secret_of_the_address(
    receiver: Receiver, private_allowed: None
) -> None:
    receiver.answers.append((500, "token-abcdef is bad\x00\n" + "x" * 100_000, {}))
    with pytest.raises(OutboundFailed) as caught:
        channels.send_webhook(receiver.url + "/token-abcdef?key=topsecret", BODY, secrets=["s"])
    said = caught.value.message
    assert said.startswith("Answered 500: … is bad") and len(said) <= 240 and "token-abcdef" not in said


def test_somebody_who_answers_too_slowly_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, private_allowed: None) -> None:
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        drip = threading.Thread(target=_drip, args=(server,), daemon=True)
        drip.start()
        with pytest.raises(OutboundFailed):
            outbound.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        assert time.monotonic() - began < 5
        drip.join(5)


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    pause = threading.Event()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not pause.wait(0.02):  # a header that never ends, one letter at a time: no read ever times out
                connection.sendall(b"x")
        except OSError:
            return


def test_nobody_at_home_is_said_as_it_is(private_allowed: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OutboundFailed, match="refused the connection"):
        outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})


# --- messages -------------------------------------------------------------------------------------------------------


def test_a_message_goes_through_apprise(receiver: Receiver, private_allowed: None) -> None:
    said = channels.send_message(f"json://127.0.0.1:{receiver.port}/", title="A title", body="A body")
    assert said == "JSON took it."
    assert json.loads(receiver.got[0][2])["message"] == "A body"


def test_a_message_to_this_machine_is_refused_and_nothing_arrives(receiver: Receiver) -> None:
    with pytest.raises(OutboundRefused, match="private"):
        channels.send_message(f"json://127.0.0.1:{receiver.port}/", title="t", body="b")
    assert receiver.got == []
    assert socket.getaddrinfo("127.0.0.1", receiver.port)  # outside the block everything is as ever


def test_what_a_service_says_is_shown_without_the_secrets_of_the_address(
    receiver: Receiver, private_allowed: None
) -> None:
    receiver.answers.append((403, "no", {}))
    with pytest.raises(OutboundFailed) as caught:
        channels.send_message(f"json://someuser:hunter2hunter2@127.0.0.1:{receiver.port}/apath", title="t", body="b")
    assert "403" in caught.value.message and "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "address",
    ["", "nothing", "syslog://", "dbus://", "foo://bar", "slack://",
     "msteams://a/b/c?template=/etc/passwd", "fcm://p/x?keyfile=/etc/passwd", "json://h/?redirect=yes"],
)  # fmt: skip
def test_what_is_no_service_on_the_network_or_reads_our_files_is_refused(address: str) -> None:
    with pytest.raises(OutboundRefused):
        channels.service_of(address)


def test_what_is_sealed_reads_again_and_not_with_another_key(settings: Any) -> None:
    from callcenter.core.errors import CallcenterError

    sealed = sealing.seal("slack://tokenA/tokenB")
    assert "token" not in sealed and sealing.unseal(sealed) == "slack://tokenA/tokenB"
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 10
    assert sealing.unseal(sealed) == "slack://tokenA/tokenB"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(CallcenterError, match="Enter the address again"):
        sealing.unseal(sealed)


def test_what_is_shown_of_an_address_gives_no_secret_away() -> None:
    assert sealing.shown("https://hooks.example.org:8443/T0KEN/xyz?key=1") == "https://hooks.example.org:8443/…"
    assert sealing.shown("slack://aaa/bbb/ccc", "Slack") == "Slack (slack://…)"
