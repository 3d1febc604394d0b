"""Telling the people behind NOTIFY_URLS what a night has brought. No transcript text ever leaves this way."""

from __future__ import annotations

import structlog
from django.conf import settings

from callcenter.core.errors import CallcenterError
from callcenter.insights.notifications import channels
from callcenter.settings.env import comma_list

log = structlog.get_logger("callcenter.learning")


def send(*, title: str, body: str) -> bool:
    """Send a message to all addresses of NOTIFY_URLS; return whether all took it (False without addresses).

    An address that cannot be reached is logged and never stops what was done, nor the next address. Who sets the
    environment may also name addresses of the house's own network.
    """
    addresses = comma_list(settings.ENV.NOTIFY_URLS)
    took = 0
    for address in addresses:
        try:
            channels.send_message(address, title=title, body=body, private=True)
        except CallcenterError as error:
            log.warning("notification_not_taken", code=error.code)
        else:
            took += 1
    return bool(addresses) and took == len(addresses)
