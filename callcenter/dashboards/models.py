"""What people keep of dashboards: views with a name, and notes that help an agent."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Call


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, user: User) -> SavedViewQuerySet:
        """Return the own views and those that are shared with a team of this user."""
        shared = models.Q(team__isnull=False) if user.sees_all_teams else models.Q(team__in=user.teams.all())
        return self.filter(models.Q(owner=user) | shared)


class SavedView(models.Model):
    """A page with its filters under a name. It holds an address and no figures: who opens it sees what they may see."""

    class Kind(models.TextChoices):
        """Which page it is of: the dashboard, or the list of calls (a saved search)."""

        DASHBOARD = "dashboard", "Dashboard"
        CALLS = "calls", "Calls"

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.DASHBOARD)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=80)
    #: The parameters of the page's address, checked when saved and again when opened.
    query = models.CharField(max_length=1000, blank=True)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="saved_views")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), "owner", "kind", name="one_view_per_name")]

    def __str__(self) -> str:
        return self.name


class CoachingNoteQuerySet(models.QuerySet["CoachingNote"]):
    def visible_to(self, user: User) -> CoachingNoteQuerySet:
        """Return an agent's own notes; for supervisors those to agents of their teams; nothing for model operators."""
        if user.is_agent:
            return self.filter(agent=user)
        if user.sees_all_teams:
            return self
        if user.role == Role.OPERATOR:
            return self.none()
        return self.filter(agent__teams__in=user.teams.all()).distinct()


class CoachingNote(models.Model):
    """What a supervisor tells an agent, with the call and the moment that it is about. The agent sees it."""

    agent = models.ForeignKey(User, on_delete=models.CASCADE, related_name="coaching_notes")
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    #: Erasing a call takes the notes on it along: they may say what was said.
    call = models.ForeignKey(Call, null=True, blank=True, on_delete=models.CASCADE, related_name="coaching_notes")
    at_ms = models.PositiveIntegerField(null=True, blank=True)
    text = models.TextField(max_length=2000)
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(null=True, blank=True)

    objects = CoachingNoteQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["agent", "-created_at"], name="note_of_agent")]

    def __str__(self) -> str:
        return f"note {self.pk} to {self.agent_id}"
