# syntax=docker/dockerfile:1
# Three images from one file: `--target web` (site, beat, ingest and NLU workers) and `--target speech`
# (speech and learning workers, with torch). Versions and hashes come from constraints/.

ARG PYTHON=3.11

FROM node:22-slim AS front-end
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts

FROM python:${PYTHON}-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    DJANGO_SETTINGS_MODULE=callcenter.settings.prod \
    EMBEDDED_SERVICES=false \
    PYANNOTE_METRICS_ENABLED=0 \
    VAR_DIR=/data/var \
    MODELS_DIR=/data/models
RUN groupadd --system --gid 10001 callcenter \
 && useradd --system --uid 10001 --gid callcenter --home-dir /data --shell /usr/sbin/nologin callcenter \
 && mkdir -p /app /data/var /data/models /data/storage /data/ingest /data/learning \
 && chown -R callcenter:callcenter /data
WORKDIR /app
COPY constraints/uv.txt constraints/web.txt constraints/
RUN pip install --require-hashes --no-deps -r constraints/uv.txt \
 && uv pip install --system --no-cache --require-hashes -r constraints/web.txt
COPY manage.py pyproject.toml ./
COPY callcenter callcenter
COPY asr_worker asr_worker
COPY analytics analytics
COPY templates templates
COPY locale locale
RUN python -m callcenter.core.catalogues

# Understanding needs sentence embeddings, so every worker image carries the worker extra; the site does not.
FROM base AS web
COPY --from=front-end /build/node_modules node_modules
# Only the files that pages load stay in the image. The key is for this step alone and opens nothing.
RUN python -c "from pathlib import Path; from callcenter.core.bootstrap import copy_vendor_files; copy_vendor_files(Path('node_modules'), Path('/data/var/static_vendor'))" \
 && rm -rf node_modules \
 && SECRET_KEY=for-collecting-static-files-in-this-build-step-only STORAGE_URL=file:///data/storage \
    DATABASE_URL=postgresql://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0 \
    python manage.py collectstatic --noinput \
 && chown -R callcenter:callcenter /data
USER callcenter
VOLUME ["/data/storage"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=40s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "callcenter.wsgi", "--bind", "0.0.0.0:8000", "--workers", "3", "--threads", "4", "--timeout", "120"]

FROM base AS worker
COPY constraints/all.txt constraints/
# The development tools of all.txt come along: one tested set of versions is worth their few megabytes.
# meeteval comes as source alone: the compiler is there for this one layer.
RUN apt-get update && apt-get install -y --no-install-recommends g++ \
 && uv pip install --system --no-cache --require-hashes -r constraints/all.txt \
 && apt-get purge -y --auto-remove g++ && rm -rf /var/lib/apt/lists/*
USER callcenter
VOLUME ["/data/models", "/data/storage"]
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s --retries=3 \
  CMD ["python", "-m", "celery", "-A", "asr_worker.celery", "inspect", "ping", "--timeout", "15"]
CMD ["celery", "-A", "asr_worker.celery", "worker", "-Q", "speech", "--pool=solo", "--prefetch-multiplier=1", "-n", "speech@%h"]
