"""The first page: how the calls are going."""

from __future__ import annotations

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from sqlalchemy.exc import SQLAlchemyError

from callcenter.accounts.decorators import OPERATORS, READERS, SUPERVISORS, person
from callcenter.calls.filters import CallQuery
from callcenter.calls.models import Call
from callcenter.calls.selectors import choices
from callcenter.dashboards.selectors import dashboard
from callcenter.insights.warehouse_doc import engine

log = structlog.get_logger("callcenter.dashboards")
DEFAULT_DAYS = 30
PERIODS = (("today", "Today"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("all", "All"))


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show the figures of the visible calls; a model operator, who reads no calls, is sent to the machinery."""
    user = person(request)
    if not user.has_role(*READERS):
        if user.has_role(*OPERATORS):
            return redirect("pipeline:operations")
        raise PermissionDenied
    query = CallQuery.parse(request.GET, days=DEFAULT_DAYS)
    named = request.GET.get("period", "") or ("" if request.GET.get("start") or request.GET.get("end") else "30")
    context = {
        "query": query,
        "period": named,
        "periods": PERIODS,
        "choices": choices(user),
        "any_calls": Call.objects.visible_to(user).exists(),
        "may_upload": user.has_role(*SUPERVISORS),
        "time_zone": settings.TIME_ZONE,
    }
    try:
        context |= dashboard(engine(), user, query)
    except SQLAlchemyError as error:
        log.error("warehouse_unreachable", error=type(error).__name__)
        return render(request, "dashboards/home.html", {**context, "broken": True}, status=503)
    return render(request, "dashboards/home.html", context)
