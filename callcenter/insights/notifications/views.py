"""Routes: where alerts are told. The list, one of them with its log, and what can be done with it."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callcenter.accounts.decorators import SUPERVISORS, person, roles_required
from callcenter.core.errors import CallcenterError
from callcenter.insights.notifications import channels, policy, selectors, services
from callcenter.insights.notifications.forms import RouteForm
from callcenter.insights.notifications.models import Delivery, Route


def _route(request: HttpRequest, route_id: uuid.UUID) -> Route:
    return get_object_or_404(Route.objects.visible_to(person(request)).select_related("team"), pk=route_id)


@require_safe
@roles_required(*SUPERVISORS)
def route_list(request: HttpRequest) -> HttpResponse:
    """Show the routes of the own teams, and how they are doing."""
    context = {"routes": selectors.routes(person(request)), "now": timezone.now(), "here": "notifications"}
    return render(request, "insights/notifications/routes.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
@never_cache
def route_new(request: HttpRequest) -> HttpResponse:
    """Make a route. The secret of a webhook is shown this once."""
    user = person(request)
    form = RouteForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            route, secret = services.create(by=user, **_values(form))
        except CallcenterError as error:
            form.add_error(None, error.message)
        else:
            if secret:
                return _page(request, route, secret=secret)
            messages.success(request, gettext("The route is made. Send a test to see whether it arrives."))
            return redirect(route)
    return render(
        request, "insights/notifications/new.html", {"form": form, "here": "notifications"},
        status=400 if form.errors else 200,
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@roles_required(*SUPERVISORS)
@never_cache
def route(request: HttpRequest, route_id: uuid.UUID) -> HttpResponse:
    """Show a route with its log, or change it."""
    found = _route(request, route_id)
    if request.method != "POST":
        return _page(request, found)
    form = RouteForm(request.POST, user=person(request), route=found)
    if form.is_valid():
        try:
            services.change(route=found, by=person(request), **_values(form))
        except CallcenterError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, gettext("Saved."))
            return redirect(found)
    return _page(request, found, form=form, status=400)


def _values(form: RouteForm) -> dict[str, Any]:
    return {name: value for name, value in form.cleaned_data.items() if name in form.fields}


def _page(
    request: HttpRequest, route: Route, *, form: RouteForm | None = None, secret: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form or RouteForm(user=person(request), route=route),
        "secret": secret,
        "replay_seconds": channels.REPLAY_SECONDS,
        "max_attempts": settings.ENV.NOTIFY_MAX_ATTEMPTS,
        "here": "notifications",
        **_log_context(request, route),
    }
    return render(request, "insights/notifications/route.html", context, status=status)


@require_safe
@roles_required(*SUPERVISORS)
def log(request: HttpRequest, route_id: uuid.UUID) -> HttpResponse:
    """Return the log alone, for a page that follows it."""
    return render(request, "insights/notifications/_log.html", _log_context(request, _route(request, route_id)))


def _log_context(request: HttpRequest, route: Route) -> dict[str, Any]:
    state = request.GET.get("state", "")
    state = state if state in Delivery.State.values else ""
    page = selectors.log(route, state=state, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    now = timezone.now()
    test = Delivery.objects.filter(route=route, kind=Delivery.Kind.TEST).first()
    return {
        "route": route,
        "page": page,
        "state": state,
        "states": Delivery.State.choices,
        "test": test,
        "now": now,
        "quiet": policy.is_quiet(route, now),
        "follows": any(not delivery.ended and delivery.next_at <= now for delivery in page.items),
    }


@require_POST
@roles_required(*SUPERVISORS)
def test(request: HttpRequest, route_id: uuid.UUID) -> HttpResponse:
    """Send a test message; its result appears in the log."""
    found = _route(request, route_id)
    services.test(route=found, by=person(request))
    if request.headers.get("HX-Request"):
        return render(request, "insights/notifications/_log.html", _log_context(request, found))
    return redirect(found)


@require_POST
@roles_required(*SUPERVISORS)
def retry(request: HttpRequest, delivery_id: uuid.UUID) -> HttpResponse:
    """Try a delivery again now."""
    delivery = get_object_or_404(
        Delivery.objects.filter(route__in=Route.objects.visible_to(person(request))).select_related("route__team"),
        pk=delivery_id,
    )
    try:
        services.retry(delivery=delivery, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(delivery.route)
    if request.headers.get("HX-Request"):
        return render(request, "insights/notifications/_log.html", _log_context(request, delivery.route))
    return redirect(delivery.route)


@require_POST
@roles_required(*SUPERVISORS)
@never_cache
def rotate(request: HttpRequest, route_id: uuid.UUID) -> HttpResponse:
    """Give a webhook a new secret and show it, this once."""
    found = _route(request, route_id)
    try:
        secret = services.rotate_secret(route=found, by=person(request))
    except CallcenterError as error:
        messages.error(request, error.message)
        return redirect(found)
    found.refresh_from_db()
    return _page(request, found, secret=secret)


@require_POST
@roles_required(*SUPERVISORS)
def delete(request: HttpRequest, route_id: uuid.UUID) -> HttpResponse:
    """Remove a route with its log."""
    found = _route(request, route_id)
    services.delete(route=found, by=person(request))
    messages.success(request, gettext("The route “{name}” is gone.").format(name=found.name))
    return redirect("notifications:list")
