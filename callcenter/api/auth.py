"""Tokens for machines; the site's own session for people who follow a download link."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.security import HttpBearer, SessionAuth

from callcenter.accounts.models import ApiToken


class TokenAuth(HttpBearer):
    """`Authorization: Bearer cc_…`. The request then acts as the token's user."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        user = ApiToken.authenticate(token)
        if user is not None:
            request.user = user
        return user


#: Reading works with either; writing by session needs the CSRF token that pages carry.
AUTH = [TokenAuth(), SessionAuth()]
