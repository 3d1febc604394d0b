"""Who may open a page, said in one line above the view."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from callcenter.accounts.models import Role, User

View = Callable[..., HttpResponseBase]

#: Who may read what was said. Model operators keep the machinery running and need no words for it.
READERS = (Role.AGENT, Role.SUPERVISOR, Role.COMPLIANCE)
#: Who may change how a call is understood, and triage its alerts.
SUPERVISORS = (Role.SUPERVISOR,)
#: Who may judge how well alerts work.
REVIEWERS = (Role.SUPERVISOR, Role.COMPLIANCE)
#: Who may correct what was heard: agents in their own calls, supervisors in those of their teams.
EDITORS = (Role.AGENT, Role.SUPERVISOR)
#: Who may look at uploads.
BATCH_READERS = (Role.SUPERVISOR, Role.COMPLIANCE)
#: Who may look at the machinery.
OPERATORS = (Role.OPERATOR, Role.SUPERVISOR)


def roles_required(*roles: str) -> Callable[[View], View]:
    """Let only signed-in users with one of the roles in (administrators always); others get 403."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not person(request).has_role(*roles):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast(View, login_required(checked))

    return decorate


def person(request: HttpRequest) -> User:
    """Return the signed-in user. Only for views behind `roles_required` or `login_required`."""
    return cast(User, request.user)
