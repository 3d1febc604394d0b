"""Going out: only to addresses that were looked at. What a name resolves to is checked and then dialled, nothing else.

A webhook's name is resolved once, every address it has is checked, and the connection goes to a checked address: a
name that answers differently the second time gains nothing. Messages go through Apprise, which dials by itself: while
it does, `guarded()` holds every look-up of this thread to the same rule, those after a redirect included.
"""

from __future__ import annotations

import contextlib
import contextvars
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext

from callcenter.core.errors import CallcenterError

CONNECT_SECONDS = 5.0
READ_SECONDS = 8.0
TOTAL_SECONDS = 15.0
KEPT_OF_ANSWER = 200
_READ_OF_ANSWER = 4096
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class OutboundRefused(CallcenterError):
    """The address must not be dialled; trying again unchanged cannot help."""

    code = "address_refused"


class OutboundFailed(CallcenterError):
    """It was tried and did not work; trying again may help."""

    code = "not_delivered"
    permanent = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: its status and the first 200 characters."""

    status: int
    text: str


def allow_private() -> bool:
    """Return whether the house has allowed private addresses (NOTIFY_ALLOW_PRIVATE)."""
    return bool(settings.ENV.NOTIFY_ALLOW_PRIVATE)


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public Internet, also when it wraps an older one."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def parse(url: str) -> SplitResult:
    """Return the parts of a webhook's address. Raises OutboundRefused with what is wrong with it."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise OutboundRefused(gettext("This is not a web address.")) from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise OutboundRefused(gettext("Give a web address that begins with https://."))
    if parts.scheme == "http" and not allow_private():
        raise OutboundRefused(gettext("Only https:// is allowed: what is said here must not be read on the way."))
    if parts.username or parts.password:
        raise OutboundRefused(gettext("Leave the user name out of the address; the signature says who is calling."))
    if port == 0 or any(ord(c) <= 32 for c in url.strip()):
        raise OutboundRefused(gettext("This is not a web address."))
    return parts


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, all of them allowed. Raises OutboundRefused, or OutboundFailed without any."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutboundFailed(
            gettext("The name {host} was not found.").format(host=host), code="name_not_found"
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise OutboundFailed(gettext("The name {host} has no address.").format(host=host), code="name_not_found")
    if not allow_private() and not all(is_public(address) for address in addresses):
        raise OutboundRefused(
            gettext("{host} is a private address; an administrator can allow these (NOTIFY_ALLOW_PRIVATE).").format(
                host=host
            ),
            code="private_address",
        )
    return addresses


class _Checked(http.client.HTTPConnection):
    """A connection to one of the checked addresses; the name serves only the Host header and the certificate."""

    def __init__(self, host: str, port: int, addresses: list[str], context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=READ_SECONDS)
        if context is not None:
            self.default_port = 443
        self._addresses = addresses[:3]
        self._context = context

    def connect(self) -> None:
        error: OSError = OSError("no address")
        for address in self._addresses:
            try:
                sock = socket.create_connection((address, self.port), CONNECT_SECONDS)
            except OSError as failed:
                error = failed
                continue
            sock.settimeout(READ_SECONDS)
            self.sock = sock
            if self._context is not None:
                self.sock = self._context.wrap_socket(sock, server_hostname=self.host)
            return
        raise error


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send a POST and return the answer, whatever its status. Follows no redirect and uses no proxy.

    Raises OutboundRefused or OutboundFailed. Lasts TOTAL_SECONDS at most, however slowly the other side talks.
    """
    parts = parse(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = resolve(host, port)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    connection = _Checked(host, port, addresses, context)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    too_long = threading.Event()
    watch = threading.Timer(TOTAL_SECONDS, _hang_up, args=(connection, too_long))
    watch.daemon = True
    watch.start()
    try:
        connection.request("POST", target, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read(_READ_OF_ANSWER).decode("utf-8", "replace")
        if too_long.is_set():  # a cut line may read like the end of an answer
            raise TimeoutError
        return Answer(response.status, text[:KEPT_OF_ANSWER])
    except ssl.SSLCertVerificationError as error:
        raise OutboundFailed(
            gettext("The certificate of {host} is not valid.").format(host=host), code="certificate"
        ) from error
    except TimeoutError as error:
        raise OutboundFailed(gettext("{host} did not answer in time.").format(host=host), code="timeout") from error
    except ConnectionRefusedError as error:
        raise OutboundFailed(
            gettext("{host} refused the connection on port {port}.").format(host=host, port=port), code="refused"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise OutboundFailed(
            gettext("{host} could not be reached ({kind}).").format(host=host, kind=type(error).__name__),
            code="unreachable",
        ) from error
    finally:
        watch.cancel()
        connection.close()


def _hang_up(connection: http.client.HTTPConnection, too_long: threading.Event) -> None:
    too_long.set()
    if connection.sock is not None:
        # The other side may be gone already.
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


# --- what libraries dial ------------------------------------------------------------------------------------------


class _LookUpRefused(socket.gaierror):
    """Looks like a failed look-up to whoever dials."""


_refusals: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("refusals", default=None)
_plain_getaddrinfo: Callable[..., Any] = socket.getaddrinfo
_installed = threading.Lock()


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    found = _plain_getaddrinfo(host, *args, **kwargs)
    refusals = _refusals.get()
    if refusals is not None and not all(is_public(str(entry[4][0])) for entry in found):
        refusals.append(host.decode() if isinstance(host, bytes) else str(host))
        raise _LookUpRefused(socket.EAI_FAIL, "a private address")
    return found


@contextlib.contextmanager
def guarded(*, private: bool = False) -> Iterator[list[str]]:
    """Hold every look-up of this thread to public addresses (unless `private`); yield the hosts that were refused.

    Python's own look-up function is wrapped once, and the wrapper does nothing outside such a block.
    """
    global _plain_getaddrinfo
    with _installed:
        if socket.getaddrinfo is not _getaddrinfo:
            _plain_getaddrinfo = socket.getaddrinfo
            socket.getaddrinfo = _getaddrinfo
    refused: list[str] = []
    token = _refusals.set(None if private else refused)
    try:
        yield refused
    finally:
        _refusals.reset(token)
