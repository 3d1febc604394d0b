"""Pictures of every page at two widths, light and dark: what a person sees, to be looked at by a person.

Usage: python -m benchmarks.screenshots --url http://127.0.0.1:8000 --user NAME --password WORD [--out screenshots]
Also reports what a picture cannot show: script errors, refused content, and pages wider than the window.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

WIDTHS = {"wide": (1440, 900), "narrow": (390, 844)}
PAGES = {
    "dashboard": "/",
    "dashboard-empty": "/?start=2001-01-01&end=2001-01-31",
    "calls": "/calls/",
    "calls-search": "/calls/?q=cancel+contract",
    "calls-empty": "/calls/?q=zebra",
    "alerts": "/alerts/",
    "batches": "/batches/",
    "batch-new": "/batches/new",
    "operations": "/operations/",
    "account": "/account/",
    "two-step": "/accounts/2fa/",
    "password": "/accounts/password/change/",
    "not-found": "/calls/00000000-0000-0000-0000-000000000000/",
}


def chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def first_links(page: Any, selector: str, count: int) -> list[str]:
    """Return the addresses of the first links that match."""
    return page.eval_on_selector_all(selector, "links => links.map(link => link.getAttribute('href'))")[:count]


def shoot(page: Any, name: str, url: str, out: Path, problems: list[dict[str, Any]]) -> None:
    """Open one page, wait until its charts are drawn, and keep its picture."""
    page.goto(url)
    page.wait_for_load_state("load")
    page.wait_for_timeout(700)
    excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if excess > 0:
        problems.append({"page": name, "problem": f"{excess} px wider than the window"})
    page.screenshot(path=str(out / f"{name}.png"), full_page=True)


def main() -> int:
    """Take all pictures; return 1 when a page had a problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--only", default="", help="comma-separated page names")
    parser.add_argument("--scheme", choices=("light", "dark", "both"), default="light")
    options = parser.parse_args()
    binary = chromium()
    if binary is None:
        sys.stderr.write("No Chromium found; install it or set CHROMIUM to its path.\n")
        return 2
    from playwright.sync_api import sync_playwright

    only = set(filter(None, options.only.split(",")))
    problems: list[dict[str, Any]] = []
    taken = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        for scheme in ("light", "dark") if options.scheme == "both" else (options.scheme,):
            for width_name, (width, height) in WIDTHS.items():
                folder = options.out / f"{width_name}-{scheme}"
                folder.mkdir(parents=True, exist_ok=True)
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,  # type: ignore[arg-type]
                    locale="en-GB",
                )
                page = context.new_page()
                seen: dict[str, str] = {"page": ""}
                page.on("pageerror", lambda error, s=seen: problems.append({"page": s["page"], "problem": str(error)}))
                page.on(
                    "console",
                    lambda message, s=seen: (
                        problems.append({"page": s["page"], "problem": message.text})
                        if message.type == "error" and "404" not in message.text
                        else None
                    ),
                )
                seen["page"] = "sign-in"
                page.goto(f"{options.url}/accounts/login/")
                if not only or "sign-in" in only:
                    shoot(page, "sign-in", f"{options.url}/accounts/login/", folder, problems)
                page.fill("[name=login]", options.user)
                page.fill("[name=password]", options.password)
                page.click("button[type=submit]")
                page.wait_for_load_state("load")
                pages = dict(PAGES)
                page.goto(f"{options.url}/calls/")
                calls = first_links(page, "a.main-link", 6)
                pages |= {f"call-{number}": link for number, link in enumerate(calls)}
                page.goto(f"{options.url}/batches/")
                pages |= {f"batch-{n}": link for n, link in enumerate(first_links(page, "td a.fw-medium", 2))}
                for name, path in pages.items():
                    if not only or name in only:
                        seen["page"] = f"{width_name}-{scheme}/{name}"
                        shoot(page, seen["page"].split("/")[1], options.url + path, folder, problems)
                        taken += 1
                context.close()
        browser.close()
    for problem in problems:
        print(f"{problem['page']}: {problem['problem']}")
    figures = {"pages": taken, "problems": len(problems)}
    print(json.dumps({"figures": figures, "goals": {"problems": 0}, "met": not problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
