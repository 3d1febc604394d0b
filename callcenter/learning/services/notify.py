"""Telling the people behind NOTIFY_URLS what a night has brought. No transcript text ever leaves this way."""

from __future__ import annotations

import structlog
from django.conf import settings

from callcenter.settings.env import comma_list

log = structlog.get_logger("callcenter.learning")


def send(*, title: str, body: str) -> bool:
    """Send a message to all addresses of NOTIFY_URLS; return whether all took it (False without addresses).

    An address that cannot be reached is logged and never stops what was done.
    """
    addresses = comma_list(settings.ENV.NOTIFY_URLS)
    if not addresses:
        return False
    import apprise

    try:
        bell = apprise.Apprise()
        known = [bell.add(address) for address in addresses]
        took = bool(bell.notify(title=title, body=body))
    except Exception as error:  # every service has errors of its own
        log.warning("notification_failed", error=type(error).__name__)
        return False
    if not took or not all(known):
        log.warning("notification_not_taken", addresses=len(addresses))
    return took and all(known)
