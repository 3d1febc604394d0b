"""Errors that a person gets to see, told apart from bugs."""

from __future__ import annotations


class CallcenterError(Exception):
    """Something that the user can understand and cure. `message` is shown as it is."""

    permanent = True
    code = "error"

    def __init__(self, message: str, *, code: str | None = None, permanent: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if permanent is not None:
            self.permanent = permanent


class Refused(CallcenterError):
    """An upload or a manifest row cannot be taken, and trying again unchanged cannot help."""

    code = "refused"
