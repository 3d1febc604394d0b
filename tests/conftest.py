"""One shared cast: every test that names a person uses these, so that every test is an access test too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from callcenter.accounts.models import Team, User


@dataclass(frozen=True)
class Cast:
    """Two teams and everybody in them. `agent` and `other_agent` are in team A, as is `supervisor`."""

    team_a: Team
    team_b: Team
    agent: User
    other_agent: User
    agent_b: User
    supervisor: User
    supervisor_b: User
    operator: User
    compliance: User
    admin: User

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def pytest_configure() -> None:
    """Pages in Chinese are tested with the words as they are now."""
    from callcenter.core.catalogues import compile_stale

    compile_stale()


@pytest.fixture(autouse=True)
def calls_start_now() -> None:
    """The factory puts each call three hours before the last one; the tests before this one must not age them."""
    from tests.factories import CallFactory

    CallFactory.reset_sequence(0)


@pytest.fixture
def cast(db: None) -> Cast:
    """The people of the house."""
    from callcenter.accounts.models import Role
    from tests.factories import TeamFactory, UserFactory

    team_a, team_b = TeamFactory(name="Team A"), TeamFactory(name="Team B")
    return Cast(
        team_a=team_a,
        team_b=team_b,
        agent=UserFactory(username="agent", teams=[team_a]),
        other_agent=UserFactory(username="other_agent", teams=[team_a]),
        agent_b=UserFactory(username="agent_b", teams=[team_b]),
        supervisor=UserFactory(username="supervisor", role=Role.SUPERVISOR, teams=[team_a]),
        supervisor_b=UserFactory(username="supervisor_b", role=Role.SUPERVISOR, teams=[team_b]),
        operator=UserFactory(username="operator", role=Role.OPERATOR, teams=[team_a]),
        compliance=UserFactory(username="compliance", role=Role.COMPLIANCE),
        admin=UserFactory(username="admin", role=Role.ADMIN, is_staff=True, is_superuser=True),
    )


@pytest.fixture
def storage(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An empty store of audio and artefacts, for this test alone."""
    root = tmp_path / "storage"
    settings.STORAGE_URL = f"file://{root}"
    yield root


@pytest.fixture(scope="session")
def warehouse_url(django_db_setup: None, django_db_blocker: Any) -> str:
    """The warehouse's schema inside the test database, migrated once."""
    from django.db import connection

    from analytics.warehouse import migrate

    with django_db_blocker.unblock():
        values = connection.settings_dict
    url = f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
    migrate(url)
    return url


@pytest.fixture
def warehouse(warehouse_url: str, settings: Any) -> Iterator[Any]:
    """The warehouse, empty; what a test loads into it is gone afterwards."""
    from analytics.warehouse.loader import truncate_all
    from callcenter.insights.warehouse_doc import engine

    settings.ANALYTICS_DATABASE_URL = warehouse_url
    truncate_all(engine())
    yield engine()
    truncate_all(engine())
