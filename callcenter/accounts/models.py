"""Users, teams, roles and API tokens, and the one rule of what a user may see."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    AGENT = "agent", _("Agent")
    SUPERVISOR = "supervisor", _("Supervisor")
    OPERATOR = "operator", _("Model operator")
    COMPLIANCE = "compliance", _("Compliance officer")
    ADMIN = "admin", _("Administrator")


class Team(models.Model):
    """A group of agents; the unit of access."""

    class Approval(models.TextChoices):
        OFF = "off", _("Off")
        SAMPLED = "sampled", _("Sampled")
        ALL = "all", _("All")

    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=120, unique=True)
    correction_approval = models.CharField(max_length=10, choices=Approval.choices, default=Approval.ALL)
    #: Whether models may learn from this team's calls, where a call does not say otherwise.
    training_consent = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person. The role says what they may do, the teams say on whose calls."""

    role = models.CharField(max_length=12, choices=Role.choices, default=Role.AGENT)
    teams = models.ManyToManyField(Team, blank=True, related_name="members")
    display_name = models.CharField(max_length=150, blank=True)
    #: Whether a supervisor or compliance officer may see alerts on self-harm and threats; administrators always may.
    restricted_alerts = models.BooleanField(
        _("may see self-harm alerts"),
        default=False,
        help_text=_("Counts for supervisors and compliance officers; administrators always may."),
    )
    #: The clock of dashboards and times on pages; empty: the site's.
    time_zone = models.CharField(max_length=64, blank=True)
    #: The language of pages and mails; empty: what the browser says, and the site's in mails.
    language = models.CharField(max_length=12, blank=True)
    objects: ClassVar[UserManager[User]] = UserManager()  # type: ignore[misc,assignment]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Return the name to show: display name, full name, else the user name."""
        return self.display_name or self.get_full_name() or self.username

    @property
    def sees_all_teams(self) -> bool:
        """Return whether no team limits this user: administrators and compliance officers."""
        return self.is_active and (self.is_superuser or self.role in {Role.ADMIN, Role.COMPLIANCE})

    @property
    def is_agent(self) -> bool:
        return self.role == Role.AGENT and not self.is_superuser

    @property
    def sees_restricted_alerts(self) -> bool:
        """Return whether this user may see alerts on self-harm and threats: a role and a right, never a role alone."""
        if not self.is_active:
            return False
        if self.is_superuser or self.role == Role.ADMIN:
            return True
        return self.restricted_alerts and self.role in {Role.SUPERVISOR, Role.COMPLIANCE}

    def has_role(self, *roles: str) -> bool:
        """Return whether the user has one of the roles; a superuser and an administrator have all."""
        return self.is_active and (self.is_superuser or self.role == Role.ADMIN or self.role in roles)


class ApiToken(models.Model):
    """A secret that lets a machine act as a user. Only its SHA-256 is stored; it is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=12)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def hash(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def issue(cls, *, user: User, name: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
        """Create a token and return it with its secret, which cannot be read again."""
        secret = "cc_" + secrets.token_urlsafe(32)
        token = cls.objects.create(
            user=user, name=name, digest=cls.hash(secret), prefix=secret[:8], expires_at=expires_at
        )
        return token, secret

    @classmethod
    def authenticate(cls, secret: str) -> User | None:
        """Return the active user behind a live token, or None. Never says why not."""
        token = cls.objects.select_related("user").filter(digest=cls.hash(secret), revoked_at=None).first()
        now = timezone.now()
        if token is None or not token.user.is_active or (token.expires_at and token.expires_at <= now):
            return None
        if token.last_used_at is None or (now - token.last_used_at).total_seconds() > 60:
            cls.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user
