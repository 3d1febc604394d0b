"""Every setting that the environment decides, typed and checked once at boot.

A field `NAME` is read from the variable `NAME`, or from the file that `NAME_FILE` names (for secrets).
A wrong value stops the process with one message per wrong variable, before anything else happens.
"""

from __future__ import annotations

import json
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent.parent


class Env(BaseSettings):
    """The environment. Defaults suit a first run on one machine."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=True)

    SECRET_KEY: str = ""
    DEBUG: bool = False
    ALLOWED_HOSTS: str = "localhost,127.0.0.1,[::1]"
    CSRF_TRUSTED_ORIGINS: str = ""
    SECURE_COOKIES: bool = True
    TIME_ZONE: str = "UTC"
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    LOG_JSON: bool = False

    DATABASE_URL: str = ""
    ANALYTICS_DATABASE_URL: str = ""
    REDIS_URL: str = ""
    STORAGE_URL: str = ""
    VAR_DIR: Path = ROOT / "var"
    MODELS_DIR: Path | None = None
    EMBEDDED_SERVICES: bool = True

    INGEST_DIR: str = ""
    INGEST_POLL_SECONDS: int = Field(default=15, ge=1)
    INGEST_TEAM: str = ""
    MAX_UPLOAD_MB: int = Field(default=2048, ge=1)
    MAX_DURATION_MINUTES: int = Field(default=480, ge=1)

    SPEECH_ENGINE: str = "faster-whisper"
    SPEECH_MODEL: str = "whisper-base.en"
    SPEECH_COMPUTE_TYPE: str = "int8"
    SPEECH_DEVICE: Literal["cpu", "cuda"] = "cpu"
    SPEECH_LANGUAGE: str = "en"
    SPEECH_DIARIZER: str = "auto"
    SENTIMENT_MODEL: str = ""
    INTENT_MODEL: str = ""
    VOICE_SIGNAL: bool = True

    RUN_DEADLINE_SECONDS: int = Field(default=900, ge=5)
    RUN_SILENCE_SECONDS: int = Field(default=60, ge=20)
    SWEEP_SECONDS: int = Field(default=30, ge=1)
    BACKLOG_AHEAD: int = Field(default=2, ge=1)
    RUN_MAX_ATTEMPTS: int = Field(default=4, ge=1)

    LEARNING_NIGHTLY_HOUR: int = Field(default=2, ge=-1, le=23)
    LEARNING_MIN_CORRECTIONS: int = Field(default=10, ge=1)
    LEARNING_METHOD: Literal["full", "frozen_encoder", "lora", "adalora", "ia3", "prefix", "prompt", "bottleneck"] = (
        "frozen_encoder"
    )
    LEARNING_CONFIG: str = ""
    LEARNING_GATE: str = ""
    LEARNING_BASE: Literal["original", "served"] = "original"
    LEARNING_REPLAY_SHARE: float = Field(default=0.3, ge=0, le=0.9)
    LEARNING_PSEUDO_SHARE: float = Field(default=0.0, ge=0, le=0.9)
    LEARNING_AUTO_PROMOTE: bool = True
    LEARNING_VARIANTS: bool = True
    LEARNING_RETRANSCRIBE_DAYS: int = Field(default=0, ge=0)
    LEARNING_MAX_ATTEMPTS: int = Field(default=4, ge=1)
    LEARNING_SILENCE_SECONDS: int = Field(default=120, ge=20)

    REDACTION_KEY: str = ""
    REDACTION_KEEP_ORIGINAL: bool = False

    EMAIL_URL: str = ""
    NOTIFY_URLS: str = ""
    NOTIFY_ALLOW_PRIVATE: bool = False
    NOTIFY_MAX_ATTEMPTS: int = Field(default=6, ge=1)
    SITE_URL: str = Field(default="", pattern=r"^(https?://[^\s/]+.*)?$")
    METRICS_TOKEN: str = ""

    @field_validator("REDACTION_KEEP_ORIGINAL")
    @classmethod
    def _has_key(cls, keep: bool, info: ValidationInfo) -> bool:
        """Refuse to keep originals without a key that can encrypt them."""
        if keep:
            from cryptography.fernet import Fernet

            try:
                Fernet(str(info.data.get("REDACTION_KEY", "")).encode())
            except ValueError as error:
                raise ValueError("needs REDACTION_KEY, a Fernet key (32 bytes, url-safe base64)") from error
        return keep

    @field_validator("LEARNING_CONFIG", "LEARNING_GATE")
    @classmethod
    def _json_object(cls, text: str) -> str:
        """Refuse what is not a JSON object before a night begins with it."""
        if text.strip():
            try:
                found = json.loads(text)
            except ValueError as error:
                raise ValueError("is not JSON") from error
            if not isinstance(found, dict):
                raise ValueError('is not a JSON object such as {"epochs": 4}')
        return text.strip()


@lru_cache(maxsize=1)
def load() -> Env:
    """Return the checked environment. Exits with status 78 (EX_CONFIG) and a readable list when it is wrong."""
    values: dict[str, str] = {}
    for name in Env.model_fields:
        path = os.environ.get(f"{name}_FILE")
        if path:
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                sys.stderr.write(f"{name}_FILE cannot be read: {error.strerror}: {path}\n")
                raise SystemExit(78) from error
    try:
        return Env(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        sys.stderr.write("The environment is not usable:\n")
        for item in error.errors():
            name = ".".join(str(part) for part in item["loc"])
            sys.stderr.write(f"  {name}: {item['msg']} (got {item.get('input')!r})\n")
        raise SystemExit(78) from error


def comma_list(text: str) -> list[str]:
    """Split a comma-separated setting; blanks are dropped."""
    return [part.strip() for part in text.split(",") if part.strip()]
