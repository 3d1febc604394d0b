"""A person's inbox: the page, the bell, and what marks things as read."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from callcenter.accounts.decorators import person
from callcenter.core.paging import Key, paginate, parse_time
from callcenter.insights.notifications import inbox as service
from callcenter.insights.notifications.models import Notice

_KEYS = (Key("created_at", True, parse_time), Key("id", True, int))


@require_safe
@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    """Show what concerns this person, newest first."""
    user = person(request)
    only_unread = request.GET.get("show") == "unread"
    notices = Notice.objects.visible_to(user)
    page = paginate(
        notices.unread() if only_unread else notices, _KEYS,
        after=request.GET.get("after", ""), before=request.GET.get("before", ""),
    )  # fmt: skip
    context = {"page": page, "only_unread": only_unread, "unread": service.unread_count(user)}
    return render(request, "insights/inbox/inbox.html", context)


@require_safe
@login_required
def bell(request: HttpRequest) -> HttpResponse:
    """Return the bell alone, for a page that stays open."""
    return render(request, "insights/inbox/_bell.html", {"unread": service.unread_count(person(request))})


@require_POST
@login_required
def open_notice(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Go where a notice leads; it counts as read."""
    notice = get_object_or_404(Notice.objects.visible_to(person(request)), pk=notice_id)
    service.mark_read(user=person(request), notice_id=notice.pk)
    return redirect(notice.url)


@require_POST
@login_required
def read(request: HttpRequest, notice_id: int) -> HttpResponse:
    """Mark one notice as read."""
    notice = get_object_or_404(Notice.objects.visible_to(person(request)), pk=notice_id)
    service.mark_read(user=person(request), notice_id=notice.pk)
    if request.headers.get("HX-Request"):
        notice.refresh_from_db()
        context = {"notice": notice, "unread": service.unread_count(person(request)), "swapped": True}
        return render(request, "insights/inbox/_notice.html", context)
    return redirect("notifications:inbox")


@require_POST
@login_required
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark everything as read."""
    service.mark_read(user=person(request))
    return redirect("notifications:inbox")
