"""Every address, every role, one table. A new address without a line here fails the test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from callcenter.dashboards.models import CoachingNote, SavedView
from callcenter.review.models import Term
from tests.factories import (
    AlertFactory,
    BatchFactory,
    CorrectionFactory,
    DatasetFactory,
    ModelFactory,
    RunFactory,
    TrainingRunFactory,
    understood_call,
)

ROLES = ("nobody", "agent", "other_agent", "supervisor", "supervisor_b", "operator", "compliance", "admin")
IN, OUT, NO, GONE = 200, 302, 403, 404

# Objects belong to team A and to `agent`. One number for each role in the order of ROLES.
# A changing request that is allowed answers with 302 (back to a page), 201 or 400; MAY stands for any of them.
MAY = "may"
#                          nobody agent other  sup   sup_b  oper  compl admin
TABLE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "dashboards:home": ("GET", (OUT, IN, IN, IN, IN, OUT, IN, IN)),
    "dashboards:csv": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "dashboards:view": ("GET", (OUT, GONE, GONE, OUT, GONE, NO, GONE, GONE)),
    "dashboards:view_save": ("POST", (OUT, MAY, MAY, MAY, MAY, NO, MAY, MAY)),
    "dashboards:view_delete": ("POST", (OUT, GONE, GONE, MAY, GONE, NO, GONE, GONE)),
    "dashboards:agents": ("GET", (OUT, NO, NO, IN, IN, NO, IN, IN)),
    "dashboards:agent": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "dashboards:note_write": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "dashboards:notes": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "dashboards:note_delete": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, GONE)),
    "dashboards:queues": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "dashboards:queue": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "dashboards:time_zone": ("POST", (OUT, MAY, MAY, MAY, MAY, MAY, MAY, MAY)),
    "calls:list": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "calls:facets": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "calls:detail": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "calls:audio": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "calls:peaks": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "calls:progress": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "calls:swap": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "calls:reprocess": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "calls:comments": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "calls:comment_remove": ("POST", (OUT, GONE, GONE, GONE, GONE, NO, GONE, GONE)),
    "calls:compare": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "exports:list": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "exports:panel": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "exports:download": ("GET", (OUT, IN, GONE, GONE, GONE, NO, GONE, GONE)),
    "exports:remove": ("POST", (OUT, MAY, GONE, GONE, GONE, NO, GONE, GONE)),
    "calls:batches": ("GET", (OUT, NO, NO, IN, IN, NO, IN, IN)),
    "calls:batch_new": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "calls:manifest_preview": ("POST", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "calls:batch": ("GET", (OUT, NO, NO, IN, GONE, NO, IN, IN)),
    "calls:batch_rows": ("GET", (OUT, NO, NO, IN, GONE, NO, IN, IN)),
    "calls:batch_file": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    # 412: asked without the protocol's header. Whose files they are is held by test_resumable_uploads.
    "calls:uploads": ("POST", (OUT, NO, NO, 412, 412, NO, NO, 412)),
    "calls:upload": ("HEAD", (OUT, NO, NO, 412, 412, NO, NO, 412)),
    "calls:batch_close": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "insights:alerts": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "insights:acknowledge": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "insights:dismiss": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "insights:alert": ("GET", (OUT, IN, GONE, IN, GONE, NO, IN, IN)),
    "insights:reopen": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "insights:assign": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "insights:comment": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "insights:bulk": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "insights:surge_acknowledge": ("POST", (OUT, NO, NO, MAY, GONE, NO, MAY, MAY)),
    "insights:quality": ("GET", (OUT, NO, NO, IN, IN, NO, IN, IN)),
    "insights:audit_draw": ("POST", (OUT, NO, NO, MAY, MAY, NO, MAY, MAY)),
    "insights:audit": ("GET", (OUT, NO, NO, IN, GONE, NO, IN, IN)),
    "insights:audit_judge": ("POST", (OUT, NO, NO, MAY, GONE, NO, MAY, MAY)),
    "insights:rules": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "insights:rule_new": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "insights:rule_preview": ("POST", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "insights:rule_try": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "insights:rule": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "insights:rule_enable": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "insights:rule_apply": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "insights:rule_version": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "insights:rule_restore": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "insights:rule_job": ("GET", (OUT, NO, NO, IN, GONE, NO, NO, IN)),
    "insights:rule_job_cancel": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "answers:list": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "answers:article": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "answers:new": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "answers:edit": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "answers:actions": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "answers:restore": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "answers:delete": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, GONE)),
    "notifications:inbox": ("GET", (OUT, IN, IN, IN, IN, IN, IN, IN)),
    "notifications:bell": ("GET", (OUT, IN, IN, IN, IN, IN, IN, IN)),
    "notifications:read_all": ("POST", (OUT, MAY, MAY, MAY, MAY, MAY, MAY, MAY)),
    "notifications:open": ("POST", (OUT, GONE, GONE, MAY, GONE, GONE, GONE, GONE)),
    "notifications:read": ("POST", (OUT, GONE, GONE, MAY, GONE, GONE, GONE, GONE)),
    "notifications:list": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "notifications:new": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "notifications:route": ("GET", (OUT, NO, NO, IN, GONE, NO, NO, IN)),
    "notifications:log": ("GET", (OUT, NO, NO, IN, GONE, NO, NO, IN)),
    "notifications:test": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "notifications:rotate": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "notifications:retry": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "notifications:delete": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, GONE)),
    "intents:list": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "intents:new": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "intents:edit": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "intents:switch": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    # A preview names calls of its author's teams.
    "intents:change": ("GET", (OUT, NO, NO, IN, GONE, NO, NO, GONE)),
    "intents:save": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, GONE)),
    "intents:again": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, GONE)),
    "intents:history": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "intents:version": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "intents:restore": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "intents:tune": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "intents:relabel": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "intents:job": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "intents:job_cancel": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "intents:label": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "intents:unlabel": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, MAY)),
    "pipeline:operations": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "pipeline:operations_panel": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "pipeline:retry": ("POST", (OUT, NO, NO, MAY, GONE, MAY, NO, MAY)),
    "pipeline:retry_cause": ("POST", (OUT, NO, NO, MAY, MAY, MAY, NO, MAY)),
    "review:turn": ("GET", (OUT, IN, GONE, IN, GONE, NO, NO, IN)),
    "review:undo": ("POST", (OUT, MAY, GONE, MAY, GONE, NO, NO, MAY)),
    "review:done": ("POST", (OUT, MAY, GONE, MAY, GONE, NO, NO, MAY)),
    "review:stranded": ("POST", (OUT, MAY, GONE, MAY, GONE, NO, NO, MAY)),
    "review:undo_group": ("POST", (OUT, MAY, GONE, MAY, GONE, NO, NO, MAY)),
    "review:queue": ("GET", (OUT, IN, IN, IN, IN, NO, NO, IN)),
    "review:next": ("GET", (OUT, OUT, OUT, OUT, OUT, NO, NO, OUT)),
    "review:approval": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "review:decide": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "review:rule": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "review:fix_all": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "review:fix_all_apply": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "review:vocabulary": ("GET", (OUT, NO, NO, IN, IN, NO, NO, IN)),
    "review:vocabulary_add": ("POST", (OUT, NO, NO, MAY, MAY, NO, NO, MAY)),
    "review:vocabulary_remove": ("POST", (OUT, NO, NO, MAY, GONE, NO, NO, GONE)),
    "review:mine": ("GET", (OUT, IN, IN, IN, IN, NO, NO, IN)),
    "learning:overview": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:night": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:yours": ("GET", (OUT, IN, IN, IN, IN, NO, IN, IN)),
    "learning:datasets": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:dataset_new": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:dataset_import": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:dataset": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:train": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:dataset_download": ("GET", (OUT, NO, NO, IN, NO, NO, NO, IN)),
    "learning:job": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:run": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:run_cancel": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:run_retry": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:models": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:upload": ("GET", (OUT, NO, NO, NO, NO, IN, NO, IN)),
    "learning:model": ("GET", (OUT, NO, NO, IN, IN, IN, NO, IN)),
    "learning:promote": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:rollback": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "learning:evaluate": ("POST", (OUT, NO, NO, NO, NO, MAY, NO, MAY)),
    "privacy:masks": ("GET", (OUT, NO, NO, NO, NO, NO, IN, IN)),
    "privacy:mask_assign": ("POST", (OUT, NO, NO, NO, NO, NO, MAY, MAY)),
    "privacy:mask_retry": ("POST", (OUT, NO, NO, NO, NO, NO, MAY, MAY)),
    "privacy:mask_stretch": ("POST", (OUT, NO, NO, NO, NO, NO, MAY, MAY)),
    "privacy:mask_resolve": ("POST", (OUT, NO, NO, NO, NO, NO, MAY, MAY)),
    "privacy:levels": ("GET", (OUT, NO, NO, NO, NO, NO, IN, IN)),
    "privacy:level_set": ("POST", (OUT, NO, NO, NO, NO, NO, MAY, MAY)),
    "privacy:reveal": ("POST", (OUT, NO, GONE, NO, GONE, NO, MAY, MAY)),
    "accounts:profile": ("GET", (OUT, IN, IN, IN, IN, IN, IN, IN)),
    "accounts:token_create": ("POST", (OUT, MAY, MAY, MAY, MAY, MAY, MAY, MAY)),
    "accounts:token_revoke": ("POST", (OUT, MAY, GONE, GONE, GONE, GONE, GONE, GONE)),
    "help": ("GET", (OUT, IN, IN, IN, IN, IN, IN, IN)),
    "help_page": ("GET", (OUT, IN, IN, IN, IN, IN, IN, IN)),
    "language": ("POST", (MAY, MAY, MAY, MAY, MAY, MAY, MAY, MAY)),
    "words": ("GET", (IN, IN, IN, IN, IN, IN, IN, IN)),
    "health": ("GET", (IN, IN, IN, IN, IN, IN, IN, IN)),
    "metrics": ("GET", (GONE, GONE, GONE, GONE, GONE, GONE, GONE, GONE)),
}
#: Addresses that packages bring; what they allow is checked below by kind, not one by one.
SIGN_IN_PREFIXES = ("account_", "mfa_", "socialaccount_")


def names(patterns: list[Any] | None = None, space: str = "") -> Iterator[str]:
    """Yield the name of every address, with its namespace."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from names(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            yield f"{space}{pattern.name}"


def foreign(name: str) -> bool:
    return name.startswith(("admin:", "api-", *SIGN_IN_PREFIXES))


def test_every_address_has_a_line_in_the_table() -> None:
    own = {name for name in names() if not foreign(name)}
    assert own == set(TABLE)


@pytest.fixture
def world(cast: Any, warehouse: Any) -> dict[str, Any]:
    """One of everything in team A, and a token of the agent."""
    from callcenter.accounts.models import ApiToken

    call = understood_call(audio=True, team=cast.team_a, agent=cast.agent)
    failed = understood_call(team=cast.team_a, agent=cast.agent, run=False)
    return {
        "call_id": call.pk,
        "batch_id": BatchFactory(team=cast.team_a, created_by=cast.supervisor).pk,
        "upload_id": uuid.uuid4(),
        "export_id": exported(cast.agent).pk,
        "alert_id": AlertFactory(call=call).pk,
        "run_id": RunFactory(call=failed, state="failed", error_code="x").pk,
        "turn": 0,
        "panel": "figures",
        "view_id": SavedView.objects.create(owner=cast.supervisor, name="Mine").pk,
        "agent_id": cast.agent.pk,
        "note_id": CoachingNote.objects.create(agent=cast.agent, author=cast.supervisor, text="Well done.").pk,
        "queue_id": call.queue_id,
        "word": 0,
        "correction_id": CorrectionFactory(transcript=call.transcript, status="stranded").pk,
        "group": CorrectionFactory(transcript=call.transcript, author=cast.supervisor).group,
        "term_id": Term.objects.create(text="Northwind", team=cast.team_a, used_at=timezone.now()).pk,
        "token_id": ApiToken.issue(user=cast.agent, name="mine")[0].pk,
        **learned(call),
        **ruled(cast, call),
        **taxonomy_of(cast),
        **told(cast),
        "mask_id": masked().pk,
        "help_area": "call",
        "language": "zh-hans",
        "words": "older",
    }


def masked() -> Any:
    """A recording that could not be muted."""
    from callcenter.privacy.models import Mask
    from tests.factories import RecordingFactory

    return Mask.objects.create(recording=RecordingFactory(), state="failed", problem="x")


def told(cast: Any) -> dict[str, Any]:
    """A route of team A and something that it could not deliver; a line in the supervisor's inbox."""
    from callcenter.insights.answers.services import save_article
    from callcenter.insights.notifications.models import Delivery, Notice
    from callcenter.insights.notifications.services import create

    values = {"name": "Desk", "channel": "webhook", "team": cast.team_a}
    route, _ = create(by=cast.supervisor, address="https://hooks.example.org/x", **values)
    delivery = Delivery.objects.create(route=route, state="failed", next_at=timezone.now())
    said = {"kind": "note", "key": "k", "title": "t", "url": "/", "created_at": timezone.now()}
    article, _ = save_article(by=cast.supervisor, title="Refunds", body="Wait ten days.")
    notice = Notice.objects.create(user=cast.supervisor, **said)
    return {
        "route_id": route.pk,
        "delivery_id": delivery.pk,
        "notice_id": notice.pk,
        "article_id": article.pk,
        "number": 1,
    }


def taxonomy_of(cast: Any) -> dict[str, Any]:
    """A version with one intent, a preview that the supervisor of team A asked for, and a re-labelling."""
    from callcenter.insights.intents import jobs, taxonomy
    from tests.factories import IntentFactory

    IntentFactory(name="refund")
    version = taxonomy.current()
    edit = {"put": {**version.content[0], "label": "Money back"}}
    return {
        "intent_name": "refund",
        "version_number": version.number,
        "preview_id": jobs.preview(edit=edit, by=cast.supervisor).pk,
        "intent_job_id": jobs.relabel(by=cast.supervisor).pk,
    }


def ruled(cast: Any, call: Any) -> dict[str, Any]:
    """A rule with a version, its author's try of it, an audit sample of the call and a surge in its team."""
    from callcenter.insights import rules
    from callcenter.insights.models import AuditSample, RuleJob, Surge

    now = timezone.now()
    rule = rules.create(source="key: a.rule\ncategory: churn\nany: [goodbye for ever]\n", by=cast.supervisor)
    sample = AuditSample.objects.create(team=cast.team_a, since=now, until=now, population=1, alerted=0)
    surge = Surge(team=cast.team_a, kind="negative", hour_at=now, count=9, calls=9, expected=1, upper=3, probability=0)
    surge.weeks = 8
    surge.save()
    return {
        "rule_id": rule.pk,
        "version": 1,
        "rule_job_id": RuleJob.objects.create(kind="try", rule=rule, created_by=cast.supervisor).pk,
        "sample_id": sample.pk,
        "item_id": sample.items.create(call=call).pk,
        "surge_id": surge.pk,
    }


def exported(by: Any) -> Any:
    """A finished export of one person."""
    from callcenter.calls.exports.models import Export
    from callcenter.core.storage import store

    store().put_bytes("exports/x.csv", b"call_id")
    return Export.objects.create(by=by, format="csv", state="done", storage_key="exports/x.csv", size=7)


def learned(call: Any) -> dict[str, Any]:
    """A dataset of the call, a job, a failed run on it and its model."""
    from callcenter.core.storage import store
    from callcenter.learning.models import DatasetJob

    dataset = DatasetFactory()
    dataset.calls.add(call)
    store().put_bytes(dataset.manifest_key, b"")
    run = TrainingRunFactory(dataset=dataset, state="failed")
    return {
        "dataset_id": dataset.pk,
        "job_id": DatasetJob.objects.create(task="build", name="x").pk,
        "training_id": run.pk,
        "model_id": ModelFactory(training_run=run).pk,
    }


ARGUMENTS = {
    "help_page": ["help_area"],
    "words": ["language", "words"],
    "dashboards:csv": ["panel"], "dashboards:view": ["view_id"], "dashboards:view_delete": ["view_id"],
    "dashboards:agent": ["agent_id"], "dashboards:note_write": ["agent_id"], "dashboards:note_delete": ["note_id"],
    "dashboards:queue": ["queue_id"],
    "intents:edit": ["intent_name"], "intents:switch": ["intent_name"], "intents:change": ["preview_id"],
    "intents:save": ["preview_id"], "intents:again": ["preview_id"], "intents:version": ["version_number"],
    "intents:restore": ["version_number"], "intents:job": ["intent_job_id"], "intents:job_cancel": ["intent_job_id"],
    "intents:label": ["call_id"], "intents:unlabel": ["call_id"],
    "calls:detail": ["call_id"], "calls:audio": ["call_id"], "calls:peaks": ["call_id"],
    "calls:progress": ["call_id"], "calls:swap": ["call_id"], "calls:reprocess": ["call_id"],
    "privacy:mask_assign": ["mask_id"], "privacy:mask_retry": ["mask_id"], "privacy:mask_stretch": ["mask_id"],
    "privacy:mask_resolve": ["mask_id"], "privacy:reveal": ["call_id"],
    "review:turn": ["call_id", "turn", "word"], "review:undo": ["call_id"], "review:done": ["call_id"],
    "review:stranded": ["correction_id"], "review:undo_group": ["group"], "review:vocabulary_remove": ["term_id"],
    "exports:download": ["export_id"], "exports:remove": ["export_id"],
    "calls:comments": ["call_id"], "calls:comment_remove": ["call_id", "turn"], "calls:compare": ["call_id"],
    "calls:batch": ["batch_id"], "calls:batch_rows": ["batch_id"], "calls:batch_file": ["batch_id"],
    "calls:batch_close": ["batch_id"], "calls:uploads": ["batch_id"], "calls:upload": ["upload_id"],
    "insights:acknowledge": ["alert_id"], "insights:dismiss": ["alert_id"],
    "insights:alert": ["alert_id"], "insights:reopen": ["alert_id"], "insights:assign": ["alert_id"],
    "insights:comment": ["alert_id"], "insights:surge_acknowledge": ["surge_id"], "insights:audit": ["sample_id"],
    "insights:audit_judge": ["sample_id", "item_id"], "insights:rule": ["rule_id"], "insights:rule_enable": ["rule_id"],
    "insights:rule_apply": ["rule_id"], "insights:rule_version": ["rule_id", "version"],
    "insights:rule_restore": ["rule_id", "version"], "insights:rule_job": ["rule_job_id"],
    "insights:rule_job_cancel": ["rule_job_id"],
    "learning:dataset": ["dataset_id"], "learning:train": ["dataset_id"], "learning:dataset_download": ["dataset_id"],
    "learning:job": ["job_id"], "learning:run": ["training_id"], "learning:run_cancel": ["training_id"],
    "learning:run_retry": ["training_id"], "learning:model": ["model_id"], "learning:promote": ["model_id"],
    "learning:rollback": ["model_id"], "learning:evaluate": ["model_id"],
    "answers:article": ["article_id"], "answers:edit": ["article_id"], "answers:delete": ["article_id"],
    "answers:restore": ["article_id", "number"],
    "notifications:route": ["route_id"], "notifications:log": ["route_id"], "notifications:test": ["route_id"],
    "notifications:rotate": ["route_id"], "notifications:open": ["notice_id"], "notifications:read": ["notice_id"],
    "notifications:retry": ["delivery_id"],
    "notifications:delete": ["route_id"], "pipeline:retry": ["run_id"], "accounts:token_revoke": ["token_id"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TABLE))
def test_each_role_gets_what_the_table_says(name: str, world: dict[str, Any], cast: Any) -> None:
    method, expected = TABLE[name]
    url = reverse(name, args=[world[key] for key in ARGUMENTS.get(name, [])])
    found = []
    for role in ROLES:
        client = Client()
        if role != "nobody":
            client.force_login(cast[role], backend="django.contrib.auth.backends.ModelBackend")
        response = client.get(url) if method == "GET" else client.generic(method, url)
        if response.streaming:
            b"".join(response.streaming_content)
        if response.status_code == OUT and role == "nobody" and expected[0] == OUT:
            assert response["Location"].startswith("/accounts/login/"), name
        found.append(response.status_code)
    said = dict(zip(ROLES, found, strict=True))
    wanted = dict(zip(ROLES, expected, strict=True))
    wrong = {
        role: (code, wanted[role])
        for role, code in said.items()
        if (code not in (200, 201, 302, 400) if wanted[role] == MAY else code != wanted[role])
    }
    assert not wrong


@pytest.mark.parametrize("name", sorted(name for name, (method, _) in TABLE.items() if method == "POST"))
def test_what_changes_something_cannot_be_done_by_a_link(name: str, world: dict[str, Any], cast: Any) -> None:
    client = Client()
    client.force_login(cast.admin, backend="django.contrib.auth.backends.ModelBackend")
    url = reverse(name, args=[world[key] for key in ARGUMENTS.get(name, [])])
    assert client.get(url).status_code == 405


def test_what_changes_something_needs_the_token_of_the_page(world: dict[str, Any], cast: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.supervisor, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(reverse("calls:reprocess", args=[world["call_id"]])).status_code == 403


def test_the_administration_is_closed_to_everybody_who_is_not_staff(cast: Any) -> None:
    for role in ("agent", "supervisor", "operator", "compliance"):
        client = Client()
        client.force_login(cast[role], backend="django.contrib.auth.backends.ModelBackend")
        assert client.get("/admin/").status_code == 302


def test_the_api_answers_nobody_without_a_token(world: dict[str, Any]) -> None:
    assert Client().get(f"/api/v1/calls/{world['call_id']}").status_code == 401


def test_nobody_can_sign_up(db: None) -> None:
    response = Client().get("/accounts/signup/")
    assert b"password1" not in response.content
