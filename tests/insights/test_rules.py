"""Rules on their pages: versions, conflicts, preview, try and re-application."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.test import Client

from callcenter.core.errors import CallcenterError
from callcenter.core.models import AuditEvent
from callcenter.insights import rerule, rulejobs, rules, tryout
from callcenter.insights.models import Alert, Rule, RuleJob
from tests.factories import AlertFactory, understood_call

CHURN = (
    "key: my.churn\nname: Wants to go\ncategory: churn\nseverity: high\nparty: customer\nany:\n  - cancel my contract\n"
)


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def made(by: Any, source: str = CHURN, *, on: bool = True) -> Rule:
    rule = rules.create(source=source, by=by)
    return rules.set_enabled(rule=rule, enabled=True, by=by) if on else rule


def test_a_new_rule_is_off_and_its_key_is_taken(cast: Any) -> None:
    rule = made(cast.supervisor, on=False)
    assert (rule.enabled, rule.version, rule.title, rule.category) == (False, 1, "Wants to go", "churn")
    with pytest.raises(CallcenterError, match="already"):
        rules.create(source=CHURN, by=cast.supervisor)


def test_every_save_is_a_version_and_an_old_one_comes_back(cast: Any) -> None:
    rule = made(cast.supervisor)
    text = CHURN + "  - end it all  # with the dog\n"
    rule, changed = rules.save(rule=rule, source=text, by=cast.admin, base_version=1, note="More words.")
    assert (rule.version, changed) == (2, True)
    assert rules.source_of(rule) == text, "comments are kept"
    assert rules.save(rule=rule, source=text, by=cast.admin, base_version=2)[1] is False
    rule = rules.restore(rule=rule, version=1, by=cast.supervisor)
    assert (rule.version, rule.definition["any"]) == (3, ["cancel my contract"])
    assert [(v.version, v.note) for v in rule.versions.all()] == [
        (3, "Version 1 again."),
        (2, "More words."),
        (1, "New."),
    ]
    assert AuditEvent.objects.filter(action="rule.change").count() == 2
    assert ("ins", "  - end it all  # with the dog") in rules.difference(CHURN, text)


def test_two_people_at_once_do_not_overwrite_each_other(cast: Any) -> None:
    rule = made(cast.supervisor)
    rules.save(rule=rule, source=CHURN + "near: 0\n", by=cast.admin, base_version=1)
    with pytest.raises(CallcenterError, match="Admin saved version 2"):
        rules.save(rule=rule, source=CHURN + "near: 0.9\n", by=cast.supervisor, base_version=1)
    page = signed_in(cast.supervisor).post(f"/rules/{rule.pk}/", {"source": CHURN + "near: 0.9\n", "version": "1"})
    assert page.status_code == 400
    assert "near: 0.9" in page.content.decode() and "Your text is still here" in page.content.decode()


def test_a_text_with_mistakes_is_not_saved_and_not_lost(cast: Any) -> None:
    rule = made(cast.supervisor)
    page = signed_in(cast.supervisor).post(f"/rules/{rule.pk}/", {"source": CHURN + "wibble: 1\n", "version": "1"})
    html = page.content.decode()
    assert page.status_code == 400 and "Line 8" in html and "wibble: 1" in html
    rule.refresh_from_db()
    assert rule.version == 1


def test_the_preview_shows_hits_only_in_calls_that_the_reader_may_see(cast: Any) -> None:
    mine, other = understood_call(team=cast.team_a, agent=cast.agent), understood_call(team=cast.team_b)
    html = signed_in(cast.supervisor).post("/rules/preview", {"source": CHURN}).content.decode()
    assert "1 hit in 1 call" in html and "cancel my contract" in html
    assert str(mine.pk) in html and str(other.pk) not in html
    html = signed_in(cast.supervisor).post("/rules/preview", {"source": CHURN + "any: ["}).content.decode()
    assert "mistake" in html and 'data-lines="8 "' in html


def test_the_preview_stops_when_its_time_is_over(cast: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        understood_call(team=cast.team_a, agent=cast.agent)
    monkeypatch.setattr(tryout, "STEP", 2)
    tried = tryout.preview(definition=made(cast.supervisor).definition, user=cast.supervisor, seconds=0.0)
    assert (tried.of, tried.calls, tried.hits) == (3, 2, 2)


def test_what_a_rule_on_self_harm_finds_is_for_those_with_the_right(cast: Any) -> None:
    understood_call(team=cast.team_a, agent=cast.agent)
    source = CHURN.replace("category: churn", "category: self_harm")
    html = signed_in(cast.supervisor).post("/rules/preview", {"source": source}).content.decode()
    assert "only to people with that right" in html and "cancel my contract" not in html
    job = rulejobs.start(kind="try", rule=None, by=cast.supervisor, definition=rules._definition(source))
    rulejobs.work(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.examples) == ("failed", [])
    cast.supervisor.restricted_alerts = True
    cast.supervisor.save()
    assert "1 hit" in signed_in(cast.supervisor).post("/rules/preview", {"source": source}).content.decode()


def test_a_try_counts_all_visible_calls_and_changes_nothing(
    cast: Any, sent: Any, django_capture_on_commit_callbacks: Any
) -> None:
    for team in (cast.team_a, cast.team_a, cast.team_b):
        understood_call(team=team)
    before = Alert.objects.count()
    client = signed_in(cast.supervisor)
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/rules/try", {"source": CHURN, "key": ""})
    job = RuleJob.objects.get()
    assert sent == [("insights.rule_job", {"job_id": str(job.pk)})]
    assert "Waiting for a worker" in client.get(job.get_absolute_url()).content.decode()
    assert rulejobs.work(str(job.pk)) is True
    job.refresh_from_db()
    assert (job.state, job.done, job.total, job.hits, job.hit_calls) == ("done", 2, 2, 2, 2)
    html = client.get(job.get_absolute_url()).content.decode()
    assert html.count("cancel my contract") == 2 and "a second" in html
    assert Alert.objects.count() == before
    assert "cancel" not in str(job.examples), "the row holds places, no words"
    assert signed_in(cast.supervisor_b).get(job.get_absolute_url()).status_code == 404


def test_a_rule_is_applied_in_slices_that_any_worker_can_go_on_with(
    cast: Any, loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerule, "CHUNK", 2)
    calls = [understood_call(team=cast.team_a, agent=cast.agent) for _ in range(5)]
    Alert.objects.all().delete()
    rule = made(cast.supervisor)
    job = rulejobs.start(kind="apply", rule=rule, by=cast.supervisor)
    assert rulejobs.start(kind="apply", rule=rule, by=cast.admin) == job, "one at a time"
    rulejobs.work(str(job.pk), seconds=0)
    job.refresh_from_db()
    assert (job.state, job.done) == ("queued", 2)
    while rulejobs.work(str(job.pk), seconds=0):
        pass
    job.refresh_from_db()
    assert (job.state, job.done, job.added, job.hits) == ("done", 5, 5, 5)
    assert set(loaded) == {call.pk for call in calls}
    found = Alert.objects.get(call=calls[0])
    assert (found.rule_key, found.severity, found.party, found.rule_version) == ("my.churn", "high", "customer", "1")
    assert found.word_ids and found.transcription_confidence and found.components[0]["share"] == 1
    assert rulejobs.work(str(job.pk)) is False


def test_a_worker_that_came_back_from_the_dead_changes_nothing(cast: Any) -> None:
    job = rulejobs.start(kind="apply", rule=made(cast.supervisor), by=cast.supervisor)
    RuleJob.objects.filter(pk=job.pk).update(state="working", heard_at="2020-01-01T00:00:00Z")
    assert rulejobs.sweep() == 1
    job.refresh_from_db()
    assert (job.state, job.failures) == ("queued", 1)
    for _ in range(2):
        RuleJob.objects.filter(pk=job.pk).update(state="working", heard_at="2020-01-01T00:00:00Z")
        rulejobs.sweep()
    job.refresh_from_db()
    assert (job.state, job.finished_at is not None) == ("failed", True)
    assert "went silent" in job.error_message


def test_a_stopped_job_stops(cast: Any) -> None:
    understood_call(team=cast.team_a)
    job = rulejobs.start(kind="apply", rule=made(cast.supervisor), by=cast.supervisor)
    signed_in(cast.supervisor).post(f"/rules/jobs/{job.pk}/cancel")
    assert rulejobs.work(str(job.pk)) is False
    assert RuleJob.objects.get().state == "cancelled"


def test_applying_a_changed_rule_leaves_what_people_touched_and_takes_the_rest_away(cast: Any) -> None:
    calls = [understood_call(team=cast.team_a) for _ in range(3)]
    Alert.objects.all().delete()
    rule = made(cast.supervisor)
    assert rerule.run(keys=["my.churn"]).added == 3
    Alert.objects.filter(call=calls[0]).update(touched=True)
    Alert.objects.filter(call=calls[1]).update(status="acknowledged", touched=True)
    rules.save(rule=rule, source=CHURN.replace("cancel my contract", "never said"), by=cast.admin, base_version=1)
    outcome = rerule.run(keys=["my.churn"])
    assert (outcome.removed, outcome.kept, outcome.hits) == (1, 2, 0)
    assert set(Alert.objects.values_list("call", flat=True)) == {calls[0].pk, calls[1].pk}


def test_a_rule_that_is_switched_off_and_applied_has_no_alerts(cast: Any) -> None:
    understood_call(team=cast.team_a)
    Alert.objects.all().delete()
    rule = made(cast.supervisor)
    rerule.run(keys=[rule.key])
    rules.set_enabled(rule=rule, enabled=False, by=cast.admin)
    assert rerule.run(keys=[rule.key]).removed == 1
    assert not Alert.objects.exists()


def test_twice_is_as_good_as_once_and_the_same_as_the_whole_pack(cast: Any) -> None:
    """Of two rules on the same words the graver one's alert stands; when it weakens, the other comes forth."""
    understood_call(team=cast.team_a)
    Alert.objects.all().delete()
    strong = made(cast.supervisor)
    made(cast.supervisor, CHURN.replace("my.churn", "weak.churn").replace("high", "low"))
    assert rerule.run().added == 1
    again = rerule.run(keys=["my.churn", "weak.churn"])
    assert (again.added, again.removed, again.changed) == (0, 0, 0)
    rules.save(rule=strong, source=CHURN.replace("cancel my", "never my"), by=cast.admin, base_version=1)
    outcome = rerule.run(keys=["my.churn"])
    assert (outcome.added, outcome.removed) == (1, 1)
    assert Alert.objects.get().rule_key == "weak.churn"
    rules.restore(rule=strong, version=1, by=cast.admin)
    rerule.run(keys=["my.churn"])
    alone = set(Alert.objects.values_list("rule_key", "identity", "severity", "score"))
    assert {key for key, *_ in alone} == {"my.churn"}
    rerule.run()
    assert set(Alert.objects.values_list("rule_key", "identity", "severity", "score")) == alone


def test_a_call_whose_text_changes_meanwhile_is_left_to_its_own_understanding(
    cast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.utils import timezone

    from callcenter.calls.models import Call

    understood_call(team=cast.team_a)
    Alert.objects.all().delete()
    made(cast.supervisor)
    real = rerule.read_calls

    def read(ids: Any) -> Any:
        found = real(ids)
        Call.objects.update(corrected_at=timezone.now())
        return found

    monkeypatch.setattr(rerule, "read_calls", read)
    outcome = rerule.run(keys=["my.churn"])
    assert (outcome.skipped, outcome.added) == (1, 0)


class Embedder:
    """Two directions: sentences that speak of cancelling, and all others."""

    fingerprint = "test"

    def encode(self, texts: Any) -> Any:
        return np.array([[1.0, 0.0] if "cancel" in t or "leave" in t else [0.0, 1.0] for t in texts], np.float32)

    encode_fixed = encode

    def tones(self, texts: Any) -> Any:
        return np.zeros((len(texts), 1), np.float32)


MEANING = (
    "key: by.meaning\ncategory: churn\nparty: customer\nsemantic:\n  examples: [I want to leave]\n  threshold: 0.9\n"
)


def test_a_semantic_rule_is_applied_with_the_model_and_refused_without(
    cast: Any, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any
) -> None:
    settings.MODELS_DIR = tmp_path
    understood_call(team=cast.team_a)
    Alert.objects.all().delete()
    rule = made(cast.supervisor, MEANING)
    job = rulejobs.start(kind="apply", rule=rule, by=cast.supervisor)
    rulejobs.work(str(job.pk))
    job.refresh_from_db()
    assert job.state == "failed" and "models pull minilm" in job.error_message
    monkeypatch.setattr(rerule, "load", lambda _: Embedder())
    assert rerule.run(keys=[rule.key]).added == 1
    assert Alert.objects.get().components[0]["kind"] == "semantic"
    html = signed_in(cast.supervisor).post("/rules/preview", {"source": MEANING, "key": ""}).content.decode()
    assert "needs the embedding model" in html


def test_the_list_shows_precision_with_its_interval(cast: Any) -> None:
    call = understood_call(team=cast.team_a, agent=cast.agent)
    made(cast.supervisor)
    for number in range(10):
        wrong = number < 2
        AlertFactory(
            call=call, rule_key="my.churn", status="dismissed" if wrong else "acknowledged",
            dismiss_kind="wrong" if wrong else "",
        )  # fmt: skip
    AlertFactory(call=call, rule_key="my.churn", status="dismissed", dismiss_kind="duplicate")
    html = signed_in(cast.supervisor).get("/rules/").content.decode()
    flat = " ".join(html.replace("\N{NARROW NO-BREAK SPACE}", "").split())
    assert "80% <span" in flat and "(49%–94%, 10 judged)" in flat
    assert "not judged yet" in signed_in(cast.supervisor_b).get("/rules/").content.decode()


def test_a_team_in_which_nobody_may_see_the_gravest_alerts_is_named(cast: Any) -> None:
    client = signed_in(cast.supervisor)
    assert "threats in Team A." in client.get("/rules/").content.decode()
    cast.supervisor.restricted_alerts = True
    cast.supervisor.save()
    assert "Nobody but administrators" not in client.get("/rules/").content.decode()
    assert "threats in Team B." in signed_in(cast.admin).get("/rules/").content.decode()


def test_without_rules_the_page_says_how_to_begin(cast: Any) -> None:
    assert "No rules yet" in signed_in(cast.supervisor).get("/rules/").content.decode()
    html = signed_in(cast.supervisor).get("/rules/new?template=absent").content.decode()
    assert "team.required-phrase" in html
