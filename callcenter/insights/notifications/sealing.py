"""Secrets that the database holds are readable with SECRET_KEY only; what is shown of them gives nothing away."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext

from callcenter.core.errors import CallcenterError

_PURPOSE = b"callcenter.notifications.v1|"


def seal(text: str) -> str:
    """Return the text encrypted and authenticated."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return the text again. Raises CallcenterError when SECRET_KEY is no longer the one it was sealed with."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise CallcenterError(
            gettext("The stored address or secret cannot be read: SECRET_KEY has changed. Enter the address again."),
            code="unreadable",
        ) from error


def _box() -> MultiFernet:
    keys = [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    digests = [hashlib.sha256(_PURPOSE + key.encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def shown(address: str, service: str = "") -> str:
    """Return what pages may show of an address: host and scheme of a webhook, service and scheme of a message."""
    parts = urlsplit(address)
    if service:
        return f"{service} ({parts.scheme}://…)"[:200]
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"[:200]


def without(text: str, *secrets: str) -> str:
    """Return a reason for people from which every longer piece of the secrets is gone, on one line."""
    for secret in secrets:
        pieces = [secret, *re.split(r"[/?&=@:#,+]+", secret)]
        for piece in sorted({p for p in pieces if len(p) >= 6}, key=len, reverse=True):
            text = text.replace(piece, "…")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
