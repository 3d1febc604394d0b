"""The generated house: teams, queues and agents, each agent with a manner that shows in the figures."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from django.db import transaction

from callcenter.accounts.models import Role, Team, User
from callcenter.calls.models import Queue
from callcenter.dashboards.history import words

#: Everything generated carries this: user names and slugs begin with it, calls have it as their source.
MARK = "generated"
TEAMS = ("North", "South", "Retention desk", "Technical desk")
QUEUES = ("Billing", "Sales", "Technical support", "Retention")
#: Which queues a team answers, with weights in the order of QUEUES.
ANSWERS = {
    "North": (5, 3, 1, 0),
    "South": (5, 2, 2, 0),
    "Retention desk": (1, 1, 0, 6),
    "Technical desk": (0, 0, 8, 1),
}
AGENTS_PER_TEAM = 10


@dataclass(frozen=True, slots=True)
class Manner:
    """How one agent handles calls; 1.0 or 0.0 is like everybody."""

    length: float
    talk: float
    pace: float
    mood: float
    silence: float
    interrupting: float
    alerts: float
    share: float


@dataclass(frozen=True, slots=True)
class Member:
    """One agent of the generated house."""

    pk: int
    username: str
    name: str
    team: int
    manner: Manner


@dataclass(frozen=True, slots=True)
class House:
    """Who and what calls belong to."""

    teams: dict[str, Team]
    queues: list[Queue]
    members: list[Member]
    supervisor: User

    @property
    def team_names(self) -> dict[int, str]:
        """Return the names of the teams by their ids."""
        return {team.pk: team.name for team in self.teams.values()}


def build(*, seed: int, agents_per_team: int = AGENTS_PER_TEAM) -> House:
    """Create the generated people and queues, or find them again; the same seed gives the same manners."""
    rng = Random(f"{seed}-people")  # noqa: S311 - figures for looking at, not secrets
    with transaction.atomic():
        teams = {
            name: Team.objects.get_or_create(
                slug=f"{MARK}-{name.lower().replace(' ', '-')}", defaults={"name": f"{name} ({MARK})"}
            )[0]
            for name in TEAMS
        }
        queues = [Queue.objects.get_or_create(name=f"{name} ({MARK})")[0] for name in QUEUES]
        supervisor = _user(f"{MARK}-supervisor", "Generated Supervisor", Role.SUPERVISOR, list(teams.values()))
        members = []
        names = [f"{first} {last}" for first in words.FIRST_NAMES for last in words.LAST_NAMES]
        rng.shuffle(names)
        for number in range(len(TEAMS) * agents_per_team):
            team = teams[TEAMS[number % len(TEAMS)]]
            user = _user(f"{MARK}-agent-{number + 1:02}", names[number], Role.AGENT, [team])
            members.append(Member(user.pk, user.username, user.name, team.pk, _manner(rng, number)))
    return House(teams, queues, members, supervisor)


def _user(username: str, name: str, role: str, teams: list[Team]) -> User:
    user, created = User.objects.get_or_create(username=username, defaults={"display_name": name, "role": role})
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
        user.teams.set(teams)
    return user


def _manner(rng: Random, number: int) -> Manner:
    def around(spread: float) -> float:
        return max(0.4, rng.gauss(1.0, spread))

    manner = Manner(
        length=around(0.12),
        talk=rng.gauss(0.0, 0.04),
        pace=around(0.07),
        mood=rng.gauss(0.0, 0.06),
        silence=around(0.15),
        interrupting=around(0.25),
        alerts=around(0.15),
        share=around(0.3),
    )
    # A few people stand out in one thing each, so that pages which look for such people find some.
    odd = {
        5: {"interrupting": 3.6},
        11: {"silence": 2.4, "length": 1.35},
        17: {"mood": 0.28, "alerts": 0.4},
        22: {"talk": 0.17},
        29: {"mood": -0.25, "alerts": 2.2},
        34: {"pace": 1.3},
    }.get(number, {})
    return Manner(**{name: odd.get(name, getattr(manner, name)) for name in Manner.__slots__})
