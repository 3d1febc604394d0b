"""The learning pages: what they show in each state, and to whom no word of a call is shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from callcenter.calls.models import Call
from callcenter.core.models import AuditEvent
from callcenter.learning import selectors, tasks
from callcenter.learning.models import Dataset, DatasetJob, Model, NightlyRun, TrainingRun
from callcenter.learning.services import datasets, jobs, registry, training
from callcenter.learning.services.store_rows import rows_of
from tests.learning.conftest import reviewed_call

pytestmark = pytest.mark.django_db
TEXT = "Saffron Robles"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(user: Any, name: str, *args: Any) -> str:
    response = signed_in(user).get(reverse(name, args=args))
    assert response.status_code == 200, (name, response.status_code)
    return response.content.decode()


@pytest.fixture
def of_a(cast: Any) -> list[Call]:
    """Reviewed calls of team A, the corrections by its agent."""
    names = ("agent", "other_agent", "third", "fourth")
    return [reviewed_call(agent=names[n % 4], team=cast.team_a, author=cast.agent) for n in range(12)]


@pytest.fixture
def dataset(of_a: list[Call]) -> Dataset:
    return datasets.build(by=None)


@pytest.fixture
def run(dataset: Dataset) -> TrainingRun:
    made = training.start(dataset=dataset, by=None)
    tasks.advance(str(made.pk))
    made.refresh_from_db()
    return made


def finish(run: TrainingRun, key: str) -> Model:
    tasks.finished(run_id=str(run.pk), attempt=1, result_key=key)
    run.refresh_from_db()
    assert run.candidate is not None
    return run.candidate


def test_before_anything_was_learned_each_page_says_what_to_expect(cast: Any) -> None:
    assert "No night yet" in page(cast.operator, "learning:overview")
    assert "No datasets yet" in page(cast.operator, "learning:datasets")
    assert "whisper-base.en" in page(cast.operator, "learning:models")
    assert "the settings name" in page(cast.operator, "learning:model", registry.served().pk)
    assert "No model has learned from you yet" in page(cast.agent, "learning:yours")


def test_an_operator_sees_no_word_of_a_call_and_may_take_none_along(cast: Any, dataset: Dataset) -> None:
    url = reverse("learning:dataset_download", args=[dataset.pk])
    for one in (dataset, dataset.golden):
        assert one is not None
        assert TEXT not in page(cast.operator, "learning:dataset", one.pk)
    assert signed_in(cast.operator).get(url).status_code == 403
    assert TEXT in page(cast.supervisor, "learning:dataset", dataset.pk)
    assert TEXT not in page(cast.supervisor_b, "learning:dataset", dataset.pk)
    assert signed_in(cast.supervisor_b).get(url).status_code == 403
    response = signed_in(cast.supervisor).get(url)
    assert response.status_code == 200 and b"".join(response.streaming_content).startswith(b"PK")
    assert AuditEvent.objects.filter(action="dataset.export", user=cast.supervisor).exists()


def test_a_dataset_whose_calls_were_erased_is_not_given_away(cast: Any, dataset: Dataset) -> None:
    dataset.calls.clear()
    assert not selectors.may_read_rows(cast.supervisor, dataset) and not selectors.may_read_rows(cast.admin, dataset)
    assert TEXT not in page(cast.supervisor, "learning:dataset", dataset.pk)


def test_a_supervisor_reads_and_builds_and_changes_nothing_else(cast: Any, of_a: list[Call]) -> None:
    client = signed_in(cast.supervisor)
    values = {"name": "mine", "replay_share": "0", "pseudo_share": "0"}
    response = client.post(reverse("learning:dataset_new"), values)
    job = DatasetJob.objects.get()
    assert response.status_code == 302 and job.created_by == cast.supervisor
    assert "Waiting for a worker" in page(cast.supervisor, "learning:job", job.pk)
    jobs.work(str(job.pk))
    assert "Open mine" in page(cast.supervisor, "learning:job", job.pk)
    made = Dataset.objects.get(name="mine")
    assert "Start the training" not in page(cast.supervisor, "learning:dataset", made.pk)
    assert client.post(reverse("learning:train", args=[made.pk])).status_code == 403
    assert client.post(reverse("learning:night")).status_code == 403


def test_a_wrong_share_is_said_on_the_form(cast: Any) -> None:
    values = {"replay_share": "3", "pseudo_share": "0"}
    response = signed_in(cast.operator).post(reverse("learning:dataset_new"), values)
    assert response.status_code == 400 and "less than or equal to 0.9" in response.content.decode()


def test_an_operator_starts_a_training_and_watches_it(cast: Any, dataset: Dataset) -> None:
    client = signed_in(cast.operator)
    values = {"method": "lora", "epochs": "2", "learning_rate": "0", "auto_promote": "on"}
    response = client.post(reverse("learning:train", args=[dataset.pk]), values)
    run = TrainingRun.objects.get()
    assert response["Location"] == run.get_absolute_url() and run.parameters["epochs"] == 2 and run.auto_promote
    assert "Waiting in line" in page(cast.operator, "learning:run", run.pk)
    tasks.advance(str(run.pk))
    doc = {"fraction": 0.4, "step": 5, "steps": 10, "loss": 1.25, "wer": 0.31}
    tasks.progress(run_id=str(run.pk), attempt=1, stage="fit", doc=doc)
    live = client.get(run.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in live and "Step 5 of 10" in live and "loss 1.25" in live and '"step": 5' in live
    assert "Step 5 of 10" in page(cast.operator, "learning:overview")


def test_a_refused_candidate_shows_every_check_with_figure_and_bound(
    cast: Any, run: TrainingRun, answer: Callable[..., str]
) -> None:
    model = finish(run, answer(run, passed=False))
    for text in (page(cast.operator, "learning:model", model.pk), page(cast.operator, "learning:run", run.pk)):
        assert "It forgets." in text and "0.05" in text and "bound 0.01" in text and 'aria-label="Failed"' in text
    client = signed_in(cast.operator)
    response = client.post(reverse("learning:promote", args=[model.pk]))
    assert "has not passed the gate" in str(list(get_messages(response.wsgi_request))[0])
    client.post(reverse("learning:promote", args=[model.pk]), {"reason": "a trial"})
    assert registry.served() == model
    assert "a trial" in page(cast.operator, "learning:model", model.pk)


def test_a_live_model_can_be_rolled_back_from_its_page(cast: Any, run: TrainingRun, answer: Callable[..., str]) -> None:
    model = finish(run, answer(run))
    assert "Roll back" in page(cast.operator, "learning:model", model.pk)
    signed_in(cast.operator).post(reverse("learning:rollback", args=[model.pk]), {"reason": "noise"})
    assert registry.served().built_in
    signed_in(cast.operator).post(reverse("learning:rollback", args=[model.pk]))
    assert registry.served().built_in
    assert "Back to" in page(cast.operator, "learning:overview")


def test_a_failed_run_says_what_to_do_and_can_be_retried(cast: Any, run: TrainingRun) -> None:
    message = "The clip of row 7 is gone from the storage."
    tasks.failed(run_id=str(run.pk), attempt=1, code="clip_gone", message=message, permanent=True)
    text = page(cast.operator, "learning:run", run.pk)
    assert message in text and "restore it from a backup" in text
    signed_in(cast.operator).post(reverse("learning:run_retry", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == TrainingRun.State.QUEUED
    signed_in(cast.operator).post(reverse("learning:run_cancel", args=[run.pk]))
    assert "Cancelled" in page(cast.operator, "learning:run", run.pk)


def test_the_button_asks_for_a_night_at_once_visible(cast: Any, sent: list[tuple[str, dict[str, Any]]]) -> None:
    signed_in(cast.operator).post(reverse("learning:night"))
    night = NightlyRun.objects.get()
    assert night.created_by == cast.operator and ("learning.nightly", {"night_id": night.pk}) in sent
    assert "Building tonight" in page(cast.operator, "learning:overview")
    signed_in(cast.operator).post(reverse("learning:night"))
    assert NightlyRun.objects.count() == 1


def test_who_corrected_sees_the_words_wrong_before_and_after(
    cast: Any, run: TrainingRun, answer: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.golden is not None
    own = [row["id"] for row in rows_of(run.golden)]
    rows = {
        ("served", "golden"): [{"id": key, "errors": 3, "words": 5} for key in own],
        ("candidate", "golden"): [{"id": key, "errors": 1, "words": 5} for key in own],
    }
    finish(run, answer(run, rows=rows))
    (effect,) = selectors.effect_of(cast.agent)
    assert (effect.own_before, effect.own_after, effect.own_words) == (3 * len(own), len(own), 5 * len(own))
    assert (effect.before, effect.after, effect.words) == (40, 28, 100) and effect.learned == run.dataset.rows  # type: ignore[union-attr]
    assert selectors.effect_of(cast.other_agent) == []
    text = page(cast.agent, "learning:yours")
    assert "words wrong before and after" in text and "40 → 28" in text


def test_agents_and_operators_find_their_own_part_of_learning_in_the_navigation(cast: Any) -> None:
    assert reverse("learning:overview") in page(cast.operator, "accounts:profile")
    text = page(cast.agent, "accounts:profile")
    assert f'href="{reverse("learning:overview")}"' not in text and reverse("learning:yours") in text


def test_an_upload_of_what_is_no_model_ends_with_a_sentence(cast: Any) -> None:
    client = signed_in(cast.operator)
    file = SimpleUploadedFile("model.zip", b"not a zip")
    response = client.post(reverse("learning:upload"), {"archive": file, "name": "theirs"})
    assert response.status_code == 302
    job = DatasetJob.objects.get()
    jobs.work(str(job.pk))
    assert "a folder or as a zip archive" in page(cast.operator, "learning:job", job.pk)


def test_a_silent_worker_is_said_so_on_the_page(cast: Any, run: TrainingRun) -> None:
    tasks.progress(
        run_id=str(run.pk), attempt=1, stage="evaluate", doc={"fraction": 0.8, "model": "served", "set": "old"}
    )
    TrainingRun.objects.filter(pk=run.pk).update(heard_at=timezone.now() - timedelta(minutes=2))
    assert "Nothing was heard from the worker" in page(cast.operator, "learning:run", run.pk)


def test_lineage_leads_from_a_call_to_the_model_and_back_to_its_calls(
    cast: Any, run: TrainingRun, answer: Callable[..., str]
) -> None:
    from callcenter.calls.models import Transcript

    model = finish(run, answer(run))
    assert run.dataset is not None
    call = run.dataset.calls.first()
    Transcript.objects.filter(pk=call.transcript_id).update(model=model.reference)
    assert model.get_absolute_url() in page(cast.supervisor, "calls:detail", call.pk)
    text = page(cast.agent, "calls:detail", Call.objects.filter(agent=cast.agent).first().pk)  # type: ignore[union-attr]
    assert "/learning/models/" not in text
    assert run.get_absolute_url() in page(cast.supervisor, "learning:model", model.pk)
    assert run.dataset.get_absolute_url() in page(cast.supervisor, "learning:run", run.pk)
    assert call.get_absolute_url() in page(cast.supervisor, "learning:dataset", run.dataset.pk)
    assert call.get_absolute_url() not in page(cast.operator, "learning:dataset", run.dataset.pk)
