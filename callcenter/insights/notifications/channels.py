"""The two ways out: a message through Apprise, a signed webhook. Both say in one sentence why something did not go."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.utils.translation import gettext

from callcenter.insights.notifications import outbound, sealing
from callcenter.insights.notifications.outbound import OutboundFailed, OutboundRefused

TIMESTAMP_HEADER = "X-Callcenter-Timestamp"
SIGNATURE_HEADER = "X-Callcenter-Signature"
EVENT_HEADER = "X-Callcenter-Event"
#: A receiver should refuse a message whose time stamp is further away than this.
REPLAY_SECONDS = 300
#: Services of Apprise that speak to this machine itself, or dial past the check of addresses.
_LOCAL = frozenset(
    "apprise apprises aprs blink1 dbus exec glib gnome kde macosx nostr nostrs notica qt rsyslog syslog vapid windows"
    .split()
)  # fmt: skip
#: Parameters of Apprise that read files of this machine or loosen the check.
_FILE_PARAMETERS = frozenset(
    "attach config include keyfile pem pgp pgpkey redirect smime smimecert smimekey subfile template verify".split()
)


# --- webhooks -----------------------------------------------------------------------------------------------------


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a body sent at a time: v1= and the HMAC-SHA256 of "timestamp.body" in hex."""
    signed = f"{timestamp}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def send_webhook(address: str, body: dict[str, Any], *, secrets: list[str]) -> str:
    """POST a signed JSON document and return a sentence about the answer. Raises OutboundRefused or OutboundFailed.

    Each secret adds a signature, so that a receiver may still hold the one before.
    """
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    now = int(time.time())
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Callcenter-Webhook/1",
        EVENT_HEADER: str(body["id"]),
        TIMESTAMP_HEADER: str(now),
        SIGNATURE_HEADER: ",".join(sign(secret, now, raw) for secret in secrets),
    }
    answer = outbound.post(address, raw, headers)
    if 200 <= answer.status < 300:
        return f"Answered {answer.status}."
    said = sealing.without(answer.text, address, *secrets)
    if 300 <= answer.status < 400:
        raise OutboundFailed(
            gettext("Answered {status}: redirects are not followed. Give the final address.").format(
                status=answer.status
            )
        )
    raise OutboundFailed(f"Answered {answer.status}{': ' + said if said else ''}"[: 40 + outbound.KEPT_OF_ANSWER])


# --- messages -----------------------------------------------------------------------------------------------------


def service_of(address: str) -> str:
    """Return the name of the service behind an Apprise address. Raises OutboundRefused with what is wrong with it."""
    return str(_service(address).service_name)


def send_message(address: str, *, title: str, body: str, private: bool = False) -> str:
    """Send a message and return a sentence. Raises OutboundRefused or OutboundFailed.

    `private` is for addresses that the environment gives: whoever set those may dial everything anyway.
    """
    service = _service(address)
    with _said() as said, outbound.guarded(private=private or outbound.allow_private()) as refused:
        try:
            took = bool(service.notify(body=body, title=title))
        except Exception as error:  # every service has errors of its own
            raise OutboundFailed(
                gettext("{service_name} failed ({kind}).").format(
                    service_name=service.service_name, kind=type(error).__name__
                )
            ) from error
    if took:
        return f"{service.service_name} took it."
    if refused:
        raise OutboundRefused(
            gettext("The address leads to a private one; an administrator can allow these (NOTIFY_ALLOW_PRIVATE)."),
            code="private_address",
        )
    why = sealing.without(" ".join(said), address)[:300]
    raise OutboundFailed(why or f"{service.service_name} did not take it.")


def _service(address: str) -> Any:
    import apprise

    address = address.strip()
    scheme = urlsplit(address).scheme.lower()
    if "://" not in address or not scheme:
        raise OutboundRefused(gettext("Give an address such as mailto://…, slack://…, msteams://… or ntfys://…."))
    if scheme in _LOCAL:
        raise OutboundRefused(
            gettext("{scheme}:// is not allowed here: it does not lead to a service on the network.").format(
                scheme=scheme
            )
        )
    named = {key.lower() for key, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True)}
    if wrong := sorted(named & _FILE_PARAMETERS):
        raise OutboundRefused(gettext("The address must not set {list}.").format(list=", ".join(wrong)))
    asset = apprise.AppriseAsset(
        app_id="Callcenter", app_desc="Callcenter", app_url="", async_mode=False, http_redirects=False,
        pgp_autogen=False, pem_autogen=False, storage_mode=apprise.PersistentStoreMode.MEMORY,
    )  # fmt: skip
    with _said():
        service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        raise OutboundRefused(gettext("No service is known for this address, or a part of it is missing."))
    return service


_heard: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("heard", default=None)


class _Ear(logging.Handler):
    """Keeps what Apprise says about one message; its lines may hold addresses, so they go nowhere else."""

    def emit(self, record: logging.LogRecord) -> None:
        heard = _heard.get()
        if heard is not None and record.levelno >= logging.WARNING:
            heard.append(record.getMessage())


@contextlib.contextmanager
def _said() -> Iterator[list[str]]:
    logger = logging.getLogger("apprise")
    if not any(isinstance(handler, _Ear) for handler in logger.handlers):
        logger.addHandler(_Ear())
        logger.propagate = False
        logger.setLevel(logging.WARNING)
    said: list[str] = []
    token = _heard.set(said)
    try:
        yield said
    finally:
        _heard.reset(token)
