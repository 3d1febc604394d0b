"""Understanding a call: transcript in, insight and alerts stored, warehouse loaded."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.db import transaction

from callcenter.calls.models import Call, Transcript
from callcenter.calls.services.transcripts import current_document
from callcenter.insights import events, voice
from callcenter.insights.models import Alert, Insight, Intent, Rule, RuleVersion
from callcenter.insights.warehouse_doc import load_into_warehouse

#: What an alert row takes over from the document of understanding.
ALERT_FIELDS = (
    "category", "severity", "rule_key", "rule_version", "party", "start_ms", "end_ms", "turn_index", "quote",
    "word_ids", "transcription_confidence", "components", "score", "listen_first",
)  # fmt: skip


def understand_call(*, call: Call) -> Insight:
    """Compute and store insight and alerts of the call's current transcript, then load the warehouse."""
    from analytics.nlu import understand
    from callcenter.insights.answers.services import suggest

    settled = config()
    transcript = current_document(call)
    document: dict[str, Any] = {**understand(transcript, settled)}
    document["taxonomy_version"] = settled["taxonomy_version"]
    voice.add(call=call, transcript=transcript, document=document)
    insight = store_insight(call=call, document=document)
    suggest(call=call, transcript=transcript, document=insight.document)
    load_into_warehouse(call)
    return insight


def config() -> dict[str, Any]:
    """Return the configuration that understanding works with: taxonomy and rules as they stand in the database."""
    from callcenter.insights.intents import taxonomy
    from callcenter.insights.intents.labels import spoken_examples

    document: dict[str, Any] = {
        "models_dir": str(settings.MODELS_DIR),
        "cache_dir": str(settings.VAR_DIR / "nlu"),
        "sentiment_model": settings.ENV.SENTIMENT_MODEL,
        "intent_model": settings.ENV.INTENT_MODEL,
    }
    version = taxonomy.current()
    document["taxonomy_version"] = version.number
    if version.content:
        document["intents"] = taxonomy.for_engine(version.content)
    document["relabelled"] = spoken_examples()
    rules = list(Rule.objects.filter(enabled=True))
    if Rule.objects.exists():
        document["rules"] = [rule_document(r) for r in rules]
    return document


def rule_document(rule: Rule) -> dict[str, Any]:
    """Return a rule as the engine reads it. Whether it is on, the row says, not the text."""
    return {**rule.definition, "key": rule.key, "version": rule.version, "enabled": True}


def store_insight(*, call: Call, document: dict[str, Any]) -> Insight:
    """Replace the call's insight and alerts by those of the document, keeping what people decided on alerts."""
    from callcenter.insights.intents import jobs

    sentiment = document["sentiment"]
    with transaction.atomic():
        Call.objects.select_for_update().get(pk=call.pk)
        # What a person said a call was about wins over what was read.
        document = jobs.stored(call, document)
        transcript = Transcript.objects.get(pk=str(call.transcript_id))
        insight, _ = Insight.objects.update_or_create(
            call=call,
            defaults={
                "transcript": transcript,
                "nlu_version": str(document["nlu_version"])[:60],
                "intent": document["intent"],
                "intent_probability": document["intent_probability"],
                "sentiment": sentiment["score"],
                "sentiment_customer": sentiment["customer"],
                "sentiment_agent": sentiment["agent"],
                # Alerts have rows of their own, which people and changed rules move on.
                "document": {name: value for name, value in document.items() if name != "alerts"},
            },
        )
        kept, raised = set(), []
        for raw in document["alerts"]:
            identity = identity_of(raw)
            kept.add(identity)
            alert, new = Alert.objects.update_or_create(call=call, identity=identity, defaults=alert_values(raw))
            if new:
                raised.append(alert.pk)
        # What a person has done with an alert outlives the rule that caused it; an alert that nobody touched does not.
        call.alerts.filter(status=Alert.Status.OPEN, touched=False).exclude(identity__in=kept).delete()
        events.after_commit(raised)
    return insight


def seed_defaults() -> tuple[int, int]:
    """Put the default taxonomy and rule pack into empty tables; return how many intents and rules were added.

    What exists is never touched, so that a supervisor's edits survive every start.
    """
    from analytics.nlu import default_intents, default_rules
    from callcenter.insights.answers.services import seed_actions

    seed_actions()
    intents = [
        Intent(
            name=item["name"],
            label=item.get("label") or item["name"].replace("_", " ").capitalize(),
            description=item.get("description", ""),
            examples=item["examples"],
        )
        for item in default_intents()
    ]
    rules = [
        Rule(
            key=item["key"],
            version=item.get("version", 1),
            category=item["category"],
            severity=item["severity"],
            title=item.get("title") or item["key"].replace("_", " ").capitalize(),
            definition=item,
            enabled=item.get("enabled", True),
        )
        for item in default_rules()
    ]
    with transaction.atomic():
        added_intents = 0 if Intent.objects.exists() else len(Intent.objects.bulk_create(intents))
        added_rules = 0 if Rule.objects.exists() else len(Rule.objects.bulk_create(rules))
        if added_rules:
            RuleVersion.objects.bulk_create(
                RuleVersion(rule=rule, version=rule.version, definition=rule.definition, note="Came with the house.")
                for rule in rules
            )
    return added_intents, added_rules


def identity_of(raw: dict[str, Any]) -> str:
    """Return what makes an alert the same one after re-understanding: category, rule, party and ten-second place."""
    text = f"{raw['category']}|{raw['rule_key']}|{raw['party']}|{raw['start_ms'] // 10_000}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def alert_values(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "category": raw["category"],
        "severity": raw["severity"],
        "rule_key": raw["rule_key"],
        "rule_version": str(raw["rule_version"]),
        "party": raw["party"],
        "start_ms": raw["start_ms"],
        "end_ms": raw["end_ms"],
        "turn_index": raw.get("turn"),
        "quote": raw.get("quote", ""),
        "word_ids": raw.get("word_ids", []),
        "transcription_confidence": raw.get("transcription_confidence"),
        "components": raw.get("components", []),
        "score": raw.get("score", 0.0),
        "listen_first": raw.get("listen_first", False),
    }


def alert_document(alert: Alert) -> dict[str, Any]:
    """Return an alert as the document of understanding writes it, with what people decided since."""
    names = [name for name in ALERT_FIELDS if name != "turn_index"]
    return {
        "id": str(alert.pk),
        **{n: getattr(alert, n) for n in names},
        "turn": alert.turn_index,
        "status": alert.status,
    }
