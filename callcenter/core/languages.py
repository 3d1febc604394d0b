"""Which language a page is in: the one its reader chose, else the one asked for by cookie or browser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import JavaScriptCatalog

from callcenter.core import catalogues

YEAR = 365 * 24 * 3600


def offered(code: Any) -> bool:
    """Return whether the site speaks this language."""
    return code in dict(settings.LANGUAGES)


def language_of(user: Any) -> str:
    """Return the language that a person reads, for what is written to them outside a page."""
    chosen = getattr(user, "language", "")
    return chosen if offered(chosen) else settings.LANGUAGE_CODE


def speaking_to(user: Any) -> AbstractContextManager[None]:
    """Texts made inside are in the language of this person."""
    return translation.override(language_of(user))


class OwnLanguage:
    """Every page is in the language that its reader chose, else what the cookie, else what the browser says.

    Django's own middleware does the last two, but stands before the one that knows who is reading.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        chosen = getattr(getattr(request, "user", None), "language", "")
        language = chosen if offered(chosen) else translation.get_language_from_request(request)
        request.LANGUAGE_CODE = language  # type: ignore[attr-defined]
        with translation.override(language):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language",))
        return response


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the chosen language: with the account where there is one, and in a cookie for the sign-in page."""
    code = request.POST.get("language", "")
    user: Any = request.user
    if code and not offered(code):
        return HttpResponse(_("This language is not offered."), status=400, content_type="text/plain; charset=utf-8")
    if user.is_authenticated and user.language != code:
        user.language = code
        user.save(update_fields=["language"])
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = reverse("dashboards:home")
    response = redirect(back)
    if code:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            code,
            max_age=YEAR,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
        )
    else:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
    return response


@lru_cache(maxsize=1)
def release() -> str:
    """Return the name of the words that this process serves."""
    return catalogues.release()


def script_address() -> str:
    """Return where the scripts of a page in the active language find their words."""
    return reverse("words", args=[translation.get_language() or settings.LANGUAGE_CODE, release()])


class OwnWords(JavaScriptCatalog):
    """The scripts' words of this site alone: what Django's administration needs comes with its own pages."""

    domain = "djangojs"
    packages = ["callcenter"]  # noqa: RUF012 - Django's own name and kind

    def get_paths(self, packages: Any) -> list[str]:
        return [str(path) for path in settings.LOCALE_PATHS]


@require_safe
def words(request: HttpRequest, language: str, name: str) -> HttpResponseBase:
    """Answer the words of one language; the address names their release, so browsers keep them."""
    if not offered(language):
        language = settings.LANGUAGE_CODE
    with translation.override(language):
        answer = OwnWords.as_view()(request)
    if name == release():
        patch_cache_control(answer, public=True, max_age=YEAR, immutable=True)
    else:
        patch_cache_control(answer, no_store=True)
    return answer
