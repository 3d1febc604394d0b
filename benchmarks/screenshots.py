"""Pictures of every page as people meet it: full, empty, in trouble; two widths, light and dark, in two languages.

Usage: python -m benchmarks.screenshots --url http://127.0.0.1:8000 --user NAME --password WORD
       [--state full|empty|error] [--out screenshots] [--only calls,alerts] [--scheme light] [--language en]
Each group of pictures is also laid side by side on a contact sheet, which `index.html` of the folder shows. Reported as
well is what a picture cannot show: script errors, refused content, wrong answers, and pages wider than the window.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import product
from pathlib import Path
from typing import Any

WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
SCHEMES = ("light", "dark")
SIGN_IN = "/accounts/login/"
#: Pages that stand in every house, empty or not.
PAGES = {
    "dashboard": "/",
    "dashboard-year": "/?period=365",
    "calls": "/calls/",
    "agents": "/agents/",
    "queues": "/queues/",
    "notes": "/notes/",
    "alerts": "/alerts/",
    "alerts-quality": "/alerts/quality/",
    "answers": "/alerts/answers/",
    "answer-new": "/alerts/answers/new",
    "answer-actions": "/alerts/answers/actions",
    "notifications": "/alerts/notifications/",
    "notification-new": "/alerts/notifications/new",
    "inbox": "/inbox/",
    "rules": "/rules/",
    "rule-new": "/rules/new",
    "intents": "/intents/",
    "intent-new": "/intents/new",
    "intents-history": "/intents/history/",
    "review": "/review/",
    "review-approval": "/review/approval/",
    "review-fix-all": "/review/fix-all/",
    "review-vocabulary": "/review/vocabulary/",
    "review-mine": "/review/mine/",
    "learning": "/learning/",
    "learning-yours": "/learning/yours/",
    "datasets": "/learning/datasets/",
    "dataset-new": "/learning/datasets/new",
    "models": "/learning/models/",
    "model-upload": "/learning/models/upload",
    "exports": "/exports/",
    "batches": "/batches/",
    "batch-new": "/batches/new",
    "operations": "/operations/",
    "privacy": "/privacy/",
    "privacy-levels": "/privacy/levels",
    "account": "/account/",
    "two-step": "/accounts/2fa/",
    "password": "/accounts/password/change/",
    "help": "/help/",
}
#: Only where there are calls.
FULL = {
    "calls-search": "/calls/?q=cancel",
    "calls-nothing-found": "/calls/?q=zebra",
    "dashboard-nothing-then": "/?start=2001-01-01&end=2001-01-31",
    "review-fix-all-found": "/review/fix-all/?wrong=please&right=Please",
}
_UUID = "[0-9a-f-]{36}"
#: Pages of one thing: the list that links to it, what its address looks like, and how many to picture.
DETAILS: dict[str, tuple[str, str, int]] = {
    "call": ("/calls/", f"/calls/{_UUID}/", 4),
    "call-failed": ("/calls/?state=failed", f"/calls/{_UUID}/", 1),
    "agent": ("/agents/", r"/agents/\d+/", 1),
    "queue": ("/queues/", r"/queues/\d+/", 1),
    "alert": ("/alerts/?status=all", f"/alerts/{_UUID}/", 2),
    "answer": ("/alerts/answers/", f"/alerts/answers/{_UUID}/", 1),
    "rule": ("/rules/", r"/rules/\d+/", 1),
    "intent": ("/intents/", r"/intents/of/[-\w]+/", 1),
    "intents-version": ("/intents/history/", r"/intents/history/\d+/", 1),
    "batch": ("/batches/", f"/batches/{_UUID}/", 1),
    "dataset": ("/learning/datasets/", f"/learning/datasets/{_UUID}/", 1),
    "learning-run": ("/learning/", f"/learning/runs/{_UUID}/", 1),
    "model": ("/learning/models/", f"/learning/models/{_UUID}/", 1),
    "help-page": ("/help/", r"/help/[-\w]+/", 14),
}
#: A request that is wrong, and a house whose warehouse does not answer: address, and the answer's status.
ERRORS = {
    "not-found": ("/calls/00000000-0000-0000-0000-000000000000/", 404),
    "page-unknown": ("/nowhere/", 404),
    "calls-wrong-range": ("/calls/?silence_min=much&talk_max=900", 200),
    "calls-half-a-phrase": ('/calls/?q="cancel+my', 200),
    "dashboard-no-warehouse": ("/", 503),
    "dashboard-wrong-dates": ("/?start=2026-31-31&end=never", 503),
    "agents-no-warehouse": ("/agents/", 503),
    "queues-no-warehouse": ("/queues/", 503),
    "calls-no-warehouse": ("/calls/", 200),
    "operations-no-warehouse": ("/operations/", 200),
}
_ERRORS_OF_AN_AGENT = {"forbidden": ("/rules/", 403), "forbidden-operations": ("/operations/", 403)}
_SHEET = """<!doctype html><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 14px sans-serif; margin: 16px; background: #888; }} h1 {{ font-size: 20px; }}
div {{ display: grid; grid-template-columns: repeat({columns}, 1fr); gap: 12px; }}
figure {{ margin: 0; }} img {{ width: 100%; height: {height}px; object-fit: cover; object-position: top left; }}
</style><h1>{title}</h1><div>{figures}</div>"""


@dataclass
class Studio:
    """One browser, and everything that was wrong with what it saw."""

    browser: Any
    url: str
    out: Path
    state: str
    only: set[str]
    taken: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    def group(self, width: str, scheme: str, language: str, people: dict[str, str]) -> None:
        """Picture every page of the state in one look; `people` are user names by part, with one password."""
        folder = self.out / f"{self.state}-{width}-{scheme}-{language}"
        if not self.only:  # pages that are gone would stay on the sheet
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        for role in ("user", "agent") if self.state == "error" else ("user",):
            context = self.browser.new_context(
                viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)),
                color_scheme=scheme, locale=LANGUAGES[language], reduced_motion="reduce",
            )  # fmt: skip
            page = context.new_page()
            self._listen(page, folder.name)
            page.goto(self.url + SIGN_IN)
            if role == "user" and self.state != "error":
                self._shoot(page, folder, "sign-in", SIGN_IN, 200)
            page.fill("[name=login]", people[role])
            page.fill("[name=password]", people["password"])
            page.click("button[type=submit]")
            page.wait_for_load_state("load")
            for name, path, status in self._pages(page, role):
                self._shoot(page, folder, name, path, status)
            context.close()
        self._sheet(folder, width)

    def _pages(self, page: Any, role: str) -> Iterator[tuple[str, str, int]]:
        if self.state == "error":
            found = ERRORS if role == "user" else _ERRORS_OF_AN_AGENT
            yield from ((name, path, status) for name, (path, status) in found.items())
            return
        for name, path in (PAGES | (FULL if self.state == "full" else {})).items():
            yield name, path, 200
        if self.state == "full":
            for name, (of, shape, most) in DETAILS.items():
                links = self._links(page, of, shape)[:most]
                if not links:
                    self.missing.add(name)
                yield from ((f"{name}-{n}" if most > 1 else name, link, 200) for n, link in enumerate(links, 1))

    def _links(self, page: Any, path: str, shape: str) -> list[str]:
        page.goto(self.url + path)
        every = page.eval_on_selector_all("main a[href]", "links => links.map(link => link.getAttribute('href'))")
        found = (re.match(shape, one) for one in every)
        return list(dict.fromkeys(one.group() for one in found if one))

    def _listen(self, page: Any, group: str) -> None:
        def wrong(text: str) -> None:
            self.problems.append({"page": f"{group} {page.url.removeprefix(self.url)}", "problem": text})

        page.on("pageerror", lambda error: wrong(str(error)))
        page.on(
            "console",
            lambda said: wrong(said.text) if said.type == "error" and not re.search("40[34]|503", said.text) else None,
        )

    def _shoot(self, page: Any, folder: Path, name: str, path: str, status: int) -> None:
        if self.only and name not in self.only:
            return
        answer = page.goto(self.url + path)
        page.wait_for_load_state("load")
        page.wait_for_timeout(500)  # charts draw themselves after the page is there
        place = f"{folder.name}/{name}"
        if answer is not None and answer.status != status:
            self.problems.append({"page": place, "problem": f"answered {answer.status}, not {status}"})
        excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if excess > 0:
            self.problems.append({"page": place, "problem": f"{excess} px wider than the window"})
        page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
        self.taken += 1

    def _sheet(self, folder: Path, width: str) -> None:
        columns, height = (4, 270) if width == "wide" else (8, 420)
        figures = "".join(
            f'<figure><img src="{escape(one.name)}"><figcaption>{escape(one.stem)}</figcaption></figure>'
            for one in sorted(folder.glob("*.png"))
        )
        sheet = folder / "sheet.html"
        sheet.write_text(_SHEET.format(title=folder.name, columns=columns, height=height, figures=figures))
        page = self.browser.new_page(viewport={"width": 1800, "height": 1000})
        page.goto(sheet.as_uri())
        page.screenshot(path=str(self.out / f"sheet-{folder.name}.png"), full_page=True)
        page.close()
        pictures = sorted(self.out.glob("sheet-*.png"))
        links = "".join(
            f'<li><a href="{escape(p.stem.removeprefix("sheet-"))}/sheet.html">{escape(p.stem)}</a>' for p in pictures
        )
        head = '<!doctype html><meta charset="utf-8"><title>Contact sheets</title>'
        (self.out / "index.html").write_text(f"{head}<ul>{links}</ul>")


def chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def main() -> int:
    """Take all pictures; return 1 when a page had a problem, 2 without a browser."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", required=True)
    parser.add_argument("--agent", default="", help="user name of an agent, for what is forbidden to one")
    parser.add_argument("--password", required=True)
    parser.add_argument("--state", choices=("full", "empty", "error"), default="full")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--only", default="", help="comma-separated page names")
    parser.add_argument("--scheme", choices=(*SCHEMES, "both"), default="both")
    parser.add_argument("--language", choices=(*LANGUAGES, "both"), default="both")
    options = parser.parse_args()
    binary = chromium()
    if binary is None:
        sys.stderr.write("No Chromium found; install it or set CHROMIUM to its path.\n")
        return 2
    from playwright.sync_api import sync_playwright

    people = {"user": options.user, "agent": options.agent or options.user, "password": options.password}
    schemes = SCHEMES if options.scheme == "both" else (options.scheme,)
    languages = tuple(LANGUAGES) if options.language == "both" else (options.language,)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        only = set(filter(None, options.only.split(",")))
        studio = Studio(browser, options.url, options.out.resolve(), options.state, only)
        for width, scheme, language in product(WIDTHS, schemes, languages):
            studio.group(width, scheme, language, people)
        browser.close()
    for problem in studio.problems:
        print(f"{problem['page']}: {problem['problem']}")
    if studio.missing:
        print(f"not pictured, since this house has none: {', '.join(sorted(studio.missing))}")
    figures = {"state": options.state, "pages": studio.taken, "problems": len(studio.problems)}
    print(json.dumps({"figures": figures, "goals": {"problems": 0}, "met": not studio.problems}))
    return 1 if studio.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
