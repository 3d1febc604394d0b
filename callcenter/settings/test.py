"""Tests: the real database and the real broker, quick password hashes, nothing that leaves the machine."""

from __future__ import annotations

import os

from callcenter.settings.base import *  # noqa: F403
from callcenter.settings.base import CELERY, DATABASES

SECRET_KEY = "only-for-tests-" + "x" * 40
DEBUG = False
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CELERY = {**CELERY, "task_always_eager": False}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ACCOUNT_RATE_LIMITS = False
# Two test runs on one machine share the embedded server, so each has a database of its own.
DATABASES["default"]["TEST"] = {"NAME": f"test_callcenter_{os.getpid()}"}
# WhiteNoise would read every static file for each test client.
WHITENOISE_AUTOREFRESH = True
