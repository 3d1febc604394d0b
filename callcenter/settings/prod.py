"""Production: nothing is guessed. What must be given and is not stops the process with its name."""

from __future__ import annotations

import sys

from callcenter.settings.base import *  # noqa: F403
from callcenter.settings.base import ENV, STORAGES

_missing = [name for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "STORAGE_URL") if not getattr(ENV, name)]
if _missing:
    sys.stderr.write("Production settings need " + ", ".join(_missing) + " in the environment (or NAME_FILE).\n")
    raise SystemExit(78)
if len(ENV.SECRET_KEY) < 40:
    sys.stderr.write("SECRET_KEY must have at least 40 characters.\n")
    raise SystemExit(78)

DEBUG = False
SESSION_COOKIE_SECURE = ENV.SECURE_COOKIES
CSRF_COOKIE_SECURE = ENV.SECURE_COOKIES
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
