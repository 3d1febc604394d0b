"""Every page, light and dark, wide and narrow, held against WCAG 2.2 AA by axe-core in a real browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from callcenter.calls.models import Call
from callcenter.insights.warehouse_doc import load_into_warehouse
from tests.web.test_access import ARGUMENTS, TABLE, world  # noqa: F401

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = Path(settings.BASE_DIR) / "node_modules" / "axe-core" / "axe.min.js"
WIDE, NARROW = 1440, 390
#: What is read, but is no page: files, sound, figures for machines, parts of pages that are seen within their page.
NO_PAGES = {
    "dashboards:csv", "dashboards:view", "calls:audio", "calls:peaks", "calls:progress", "calls:comments",
    "calls:batch_rows", "exports:panel", "exports:download", "notifications:bell", "notifications:log",
    "pipeline:operations_panel", "review:next", "learning:dataset_download", "health", "metrics", "words",
    "calls:facets",
}  # fmt: skip
PAGES = sorted(name for name, (method, _) in TABLE.items() if method == "GET" and name not in NO_PAGES)
#: Pages that only their author opens.
AUTHORS = {"intents:change": "supervisor"}
#: Colours are what the scheme changes, and places are what the width changes; the rest is asked once.
COLOURS = ["color-contrast", "link-in-text-block"]
PLACES = [*COLOURS, "target-size", "scrollable-region-focusable", "label-content-name-mismatch", "nested-interactive"]
LOOKS: tuple[tuple[str, int, list[str]], ...] = (
    ("light", WIDE, []),
    ("light", NARROW, PLACES),
    ("dark", NARROW, COLOURS),
    ("dark", WIDE, COLOURS),
)
RUN = """
async ([scheme, rules]) => {
  const frame = () => new Promise(requestAnimationFrame);
  for (let waited = 0; document.documentElement.dataset.bsTheme !== scheme; waited += 1) {
    if (waited > 600) {
      throw new Error(`${location.pathname} does not follow the colour scheme: is it a page?`);
    }
    await frame();
  }
  await frame();
  const found = await axe.run(document, {
    resultTypes: ["violations"],
    iframes: false,
    runOnly: rules.length
      ? { type: "rule", values: rules }
      : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] },
  });
  const short = (text) => text.replace(/\\s+/g, " ");
  const told = (node) => `${short(node.html).slice(0, 150)} [${node.target}] ${short(node.failureSummary)}`;
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap((one) => one.nodes.slice(0, 5).map((node) => `${one.id}: ${told(node)}`));
}
"""


@pytest.fixture
def visitor(browser: Any, live_server: Any) -> Iterator[Any]:
    """One page of one context, with axe-core in every document; nothing moves while it is looked at."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (run `make setup`)")
    context = browser.new_context(base_url=live_server.url, reduced_motion="reduce", locale="en-GB")
    context.set_default_timeout(20_000)
    context.add_init_script(path=AXE)
    yield context.new_page()
    context.close()


def enter(page: Any, user: Any) -> None:
    """Sign a person in, or nobody."""
    page.context.clear_cookies()
    if user is not None:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        value = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": value, "domain": "localhost", "path": "/"}])


def findings(page: Any, paths: Iterable[str], expected: int = 200) -> list[str]:
    """Return what axe-core finds serious on any of the pages in any of the looks."""
    found: dict[str, list[str]] = {}
    for path in paths:
        page.emulate_media(color_scheme=LOOKS[0][0])
        page.set_viewport_size({"width": LOOKS[0][1], "height": 900})
        answer = page.goto(path)
        assert answer.status == expected, path
        assert "text/html" in answer.headers["content-type"], f"{path} is no page: name it in NO_PAGES"
        for scheme, width, rules in LOOKS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            for line in page.evaluate(RUN, [scheme, rules]):
                found.setdefault(line, []).append(f"{path} {scheme} {width}")
    return [f"{line}\n    on {', '.join(places[:3])} ({len(places)})" for line, places in found.items()]


def test_no_page_has_a_serious_finding(visitor: Any, world: dict[str, Any], cast: Any) -> None:  # noqa: F811
    for call in Call.objects.exclude(insight=None):
        load_into_warehouse(call)
    found: list[str] = []
    for role in ("admin", "supervisor"):
        enter(visitor, cast[role])
        names = [name for name in PAGES if AUTHORS.get(name, "admin") == role]
        found += findings(visitor, [reverse(n, args=[world[key] for key in ARGUMENTS.get(n, [])]) for n in names])
    assert not found, "\n".join(found)


def test_neither_has_an_empty_house_nor_an_agents_desk_nor_signing_in(visitor: Any, cast: Any, warehouse: Any) -> None:
    found = findings(visitor, ["/accounts/login/", "/accounts/password/reset/"])
    enter(visitor, cast.supervisor)
    found += findings(visitor, ["/", "/calls/", "/alerts/", "/review/", "/batches/", "/exports/", "/operations/"])
    found += findings(visitor, ["/learning/", "/learning/datasets/", "/intents/", "/inbox/", "/accounts/2fa/"])
    found += findings(visitor, ["/accounts/password/change/", "/accounts/email/", "/accounts/logout/"])
    found += findings(visitor, ["/calls/00000000-0000-0000-0000-000000000000/"], expected=404)
    enter(visitor, cast.agent)
    found += findings(visitor, ["/"])
    found += findings(visitor, ["/operations/"], expected=403)
    assert not found, "\n".join(found)
