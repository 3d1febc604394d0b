"""One machine, first run: embedded services, a secret key made once and kept in var/."""

from __future__ import annotations

import os
import secrets

from callcenter.settings.base import *  # noqa: F403
from callcenter.settings.base import ENV, SECRET_KEY, VAR_DIR

if not SECRET_KEY:
    _path = VAR_DIR / "secret_key"
    if not _path.exists():
        VAR_DIR.mkdir(parents=True, exist_ok=True)
        _handle = os.open(_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        if os.fstat(_handle).st_size == 0:
            os.write(_handle, secrets.token_urlsafe(50).encode())
        os.close(_handle)
    SECRET_KEY = _path.read_text().strip()[:67]

DEBUG = ENV.DEBUG
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
