"""A real Chromium against the live site; skipped, with the reason, where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

VENDOR = ("tabler/tabler.min.css", "htmx/htmx.min.js", "wavesurfer/wavesurfer.min.js", "echarts/echarts.min.js")


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    binary = chromium()
    if binary is None:
        pytest.skip("no Chromium on this machine (set CHROMIUM to the path of one)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("the package playwright is not installed")
    # Playwright's loop lives in this thread; Django would take every query here for one inside an async view.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        live = playwright.chromium.launch(executable_path=binary, args=arguments)
        yield live
        live.close()
    if before is None:
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


@pytest.fixture(autouse=True)
def house(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of its own, files of the front end present, no worker asked, nothing sent to the broker."""
    from callcenter.celery import app

    vendor = Path(settings.VAR_DIR) / "static_vendor"
    if missing := [name for name in VENDOR if not (vendor / name).is_file()]:
        pytest.skip(f"front-end packages are not installed (run `make setup`): {', '.join(missing)}")
    settings.STORAGE_URL = f"file://{tmp_path / 'store'}"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.WHITENOISE_AUTOREFRESH = True
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    monkeypatch.setattr(app.control, "broadcast", lambda *_, **__: [])


@pytest.fixture
def page(browser: Any, live_server: Any) -> Iterator[Any]:
    """A page of a fresh visitor; a script error or a refused resource fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", base_url=live_server.url)
    context.set_default_timeout(45_000)
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    yield made
    context.close()
    assert errors == []


@pytest.fixture
def sign_in(page: Any) -> Any:
    """Return a function that signs a user of the cast in, through the page."""
    from tests.factories import PASSWORD

    def enter(user: Any) -> Any:
        page.goto("/accounts/login/")
        page.get_by_label("User name or e-mail").fill(user.username)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)
        return page

    return enter
