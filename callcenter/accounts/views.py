"""A person's own account: who they are here, and their API tokens."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import available_timezones

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import READERS, person
from callcenter.accounts.forms import TokenForm
from callcenter.accounts.models import ApiToken
from callcenter.core import audit


@require_safe
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """Show the account."""
    return _page(request, TokenForm())


def _page(request: HttpRequest, form: TokenForm, *, secret: str = "", status: int = 200) -> HttpResponse:
    user = person(request)
    context = {
        "form": form,
        "secret": secret,
        "tokens": user.api_tokens.order_by("revoked_at", "-created_at"),
        "teams": user.teams.all(),
        "now": timezone.now(),
        "may_read_calls": user.has_role(*READERS),
        "time_zones": sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
    }
    return render(request, "accounts/profile.html", context, status=status)


@require_POST
@login_required
@never_cache
def token_create(request: HttpRequest) -> HttpResponse:
    """Make a token and show its secret, this once."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=400)
    days = int(form.cleaned_data["days"])
    expires_at = timezone.now() + timedelta(days=days) if days else None
    token, secret = ApiToken.issue(user=person(request), name=form.cleaned_data["name"], expires_at=expires_at)
    audit.record("token.create", token, request=request)
    return _page(request, TokenForm(), secret=secret)


@require_POST
@login_required
def token_revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """End an own token at once."""
    token = get_object_or_404(ApiToken, pk=token_id, user=person(request))
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record("token.revoke", token, request=request)
        messages.success(request, _("The token “%(name)s” no longer works.") % {"name": token.name})
    return redirect("accounts:profile")
