"""Settings that every process shares. What differs by environment is in dev, test and prod."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url

from callcenter.core import catalogues
from callcenter.settings import env as env_module
from callcenter.settings.env import ROOT, comma_list

ENV = env_module.load()
BASE_DIR = ROOT
VAR_DIR = Path(ENV.VAR_DIR).resolve()
MODELS_DIR = Path(ENV.MODELS_DIR).resolve() if ENV.MODELS_DIR else VAR_DIR / "models"

SECRET_KEY = ENV.SECRET_KEY
DEBUG = ENV.DEBUG
ALLOWED_HOSTS = comma_list(ENV.ALLOWED_HOSTS)
CSRF_TRUSTED_ORIGINS = comma_list(ENV.CSRF_TRUSTED_ORIGINS)

DATABASE_URL = ENV.DATABASE_URL
REDIS_URL = ENV.REDIS_URL
if ENV.EMBEDDED_SERVICES and not (DATABASE_URL and REDIS_URL):
    from callcenter.core.embedded import ensure

    endpoints = ensure(VAR_DIR)
    DATABASE_URL = DATABASE_URL or endpoints.database_url
    REDIS_URL = REDIS_URL or endpoints.redis_url
# Without services (linting, docs, building an image) nothing connects, but settings must still load.
DATABASE_URL = DATABASE_URL or "postgresql://nobody@127.0.0.1:1/none"
REDIS_URL = REDIS_URL or "redis://127.0.0.1:1/0"
ANALYTICS_DATABASE_URL = ENV.ANALYTICS_DATABASE_URL or DATABASE_URL
STORAGE_URL = ENV.STORAGE_URL or f"file://{VAR_DIR / 'storage'}"

DATABASES: dict[str, Any] = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60)}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "callcenter.core",
    "callcenter.accounts",
    "callcenter.calls",
    "callcenter.calls.exports",
    "callcenter.pipeline",
    "callcenter.insights",
    "callcenter.insights.intents",
    "callcenter.insights.notifications",
    "callcenter.insights.answers",
    "callcenter.review",
    "callcenter.privacy",
    "callcenter.learning",
    "callcenter.dashboards",
    "callcenter.api",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "callcenter.core.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # After the one that knows who reads: a stored language comes before cookie and browser.
    "callcenter.core.languages.OwnLanguage",
    "callcenter.dashboards.middleware.OwnTimeZone",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "callcenter.core.middleware.RequestLog",
]

ROOT_URLCONF = "callcenter.urls"
WSGI_APPLICATION = "callcenter.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "callcenter.core.context.site",
            ],
            # Nearly every template has words, so none needs to load the tags that translate them.
            "builtins": ["django.templatetags.i18n"],
        },
    },
]

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "callcenter.accounts.adapter.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = list(catalogues.FOLDERS)
catalogues.compile_stale()
FORMAT_MODULE_PATH = "callcenter.formats"
LANGUAGE_COOKIE_NAME = "language"
TIME_ZONE = ENV.TIME_ZONE
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [("vendor", VAR_DIR / "static_vendor")] if (VAR_DIR / "static_vendor").is_dir() else []
STATICFILES_DIRS.append(("", BASE_DIR / "templates" / "static"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "tmp"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
# Recordings stream to disk; only small form fields are held in memory.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 2000

CELERY_BROKER_URL = REDIS_URL
CELERY = {
    "broker_url": REDIS_URL,
    "result_backend": None,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_create_missing_queues": False,
    "task_default_queue": "default",
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {"visibility_timeout": 7200},
    "timezone": "UTC",
    "beat_schedule": {
        "sweep-runs": {"task": "pipeline.sweep", "schedule": ENV.SWEEP_SECONDS, "options": {"expires": 60}},
        "sweep-intents": {"task": "intents.sweep", "schedule": ENV.SWEEP_SECONDS, "options": {"expires": 60}},
        "sweep-exports": {"task": "exports.sweep", "schedule": 60.0, "options": {"expires": 50}},
        "sweep-reviews": {"task": "review.sweep", "schedule": 30.0, "options": {"expires": 25}},
        # Also begins the night's learning in the hours after LEARNING_NIGHTLY_HOUR, so a missed minute costs no night.
        "sweep-learning": {"task": "learning.sweep", "schedule": ENV.SWEEP_SECONDS, "options": {"expires": 60}},
        "sweep-notifications": {
            "task": "notifications.sweep",
            "schedule": ENV.SWEEP_SECONDS,
            "options": {"expires": 60},
        },
        "sweep-rule-jobs": {"task": "insights.sweep", "schedule": ENV.SWEEP_SECONDS, "options": {"expires": 60}},
        # Every hour's rates are looked at six times, so the minute does not matter.
        "find-surges": {"task": "insights.surges", "schedule": 3600.0, "options": {"expires": 1800}},
        "sweep-privacy": {"task": "privacy.sweep", "schedule": ENV.SWEEP_SECONDS, "options": {"expires": 60}},
        "poll-ingest-folder": {
            "task": "calls.poll_folder",
            "schedule": ENV.INGEST_POLL_SECONDS,
            "options": {"expires": 60},
        },
    },
}

CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

# The speech worker is configured by the environment alone; what this process decided is passed on to its children.
os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")

from callcenter.core.logs import configure, logging_config  # noqa: E402

LOGGING = logging_config(level=ENV.LOG_LEVEL, as_json=ENV.LOG_JSON)
configure()
