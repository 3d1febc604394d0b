"""Rules on stored calls: transcripts read in bulk, rules compiled once, alerts and warehouse written in bulk.

After a run the alerts of a call are what understanding it now would give, save for what people have touched. Only the
rules that were asked for are run; where one of their old alerts goes or weakens, another rule's that stood behind it
may come forth, so that call's categories are run whole.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

import structlog
from django.conf import settings
from django.db import connections, transaction

from analytics.nlu.chunks import EmbeddedChunks, cut
from analytics.nlu.embedding import Embedder, EmbedderMissing, load
from analytics.nlu.engine import run_rules
from analytics.nlu.evidence import SEVERITY_RANK, deduplicate
from analytics.nlu.metrics import talk_metrics
from analytics.nlu.rules import Rule as Compiled
from analytics.nlu.rules import compile_leniently
from analytics.nlu.screen import Screen
from analytics.nlu.text import CallText
from callcenter.calls.models import Call
from callcenter.core.errors import CallcenterError
from callcenter.insights import events, rerule_pool, services, warehouse_doc
from callcenter.insights.models import RESTRICTED, Alert, Rule
from callcenter.insights.reading import State, StoredCall, read_calls, states, vocabularies

log = structlog.get_logger("callcenter.insights")
CHUNK = 200
SEMANTIC_CHUNK = 10
#: A call and what was found in it.
Found = tuple[Any, list[dict[str, Any]]]
_COMPARED = services.ALERT_FIELDS


@dataclass(slots=True)
class Outcome:
    """What a run did; several are added up."""

    calls: int = 0
    skipped: int = 0
    hits: int = 0
    hit_calls: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    kept: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        for one in fields(self):
            if one.name == "notes":
                self.notes += [n for n in other.notes if n not in self.notes]
            else:
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def rate(self) -> float:
        """Return calls a second."""
        return self.calls / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: the rules by key, all enabled rules beside them, and the keys whose alerts are made new."""

    keys: frozenset[str] | None
    own: tuple[Compiled, ...]
    every: tuple[Compiled, ...]

    @property
    def chunk(self) -> int:
        return SEMANTIC_CHUNK if any(r.semantic for r in self.own) else CHUNK

    def concerns(self, alert: Alert) -> bool:
        return self.keys is None or alert.rule_key in self.keys

    def beside(self, categories: Collection[str]) -> tuple[Compiled, ...]:
        """Return every enabled rule of the categories."""
        return tuple(r for r in self.every if r.category in categories)


def plan(keys: Collection[str] | None = None) -> Plan:
    """Return the plan for these rules as they stand now (None: all). A rule that is off or gone has no alerts.

    Raises CallcenterError where a rule to be run has a semantic part and the embedding model is not installed.
    """
    rules, _ = compile_leniently([services.rule_document(r) for r in Rule.objects.filter(enabled=True)])
    own = rules if keys is None else tuple(r for r in rules if r.key in keys)
    try:
        embedder_for(own)
    except EmbedderMissing as error:
        message = f"A rule with a semantic part cannot be applied here: {error}"
        raise CallcenterError(message, code="no_embedder") from None
    return Plan(None if keys is None else frozenset(keys), own, rules)


def embedder_for(rules: Sequence[Compiled]) -> Embedder | None:
    """Return the embedding model where one of the rules needs it. Raises EmbedderMissing."""
    return load(settings.MODELS_DIR) if any(r.semantic for r in rules) else None


def run(
    *,
    keys: Collection[str] | None = None,
    ids: Sequence[Any] | None = None,
    processes: int = 1,
    warehouse: bool = True,
) -> Outcome:
    """Re-rule stored calls (all, or these) by the rules of these keys (all, or some) and return what came of it.

    With several processes the calls are shared out; each opens connections of its own.
    """
    started = time.perf_counter()
    if ids is None:
        ids = list(Call.objects.filter(transcript__isnull=False).order_by("pk").values_list("pk", flat=True))
    made = plan(keys)
    total = Outcome()
    if processes <= 1:
        for chunk in chunks(ids, made.chunk):
            total.add(apply(made, chunk, warehouse=warehouse))
    else:
        import multiprocessing

        connections.close_all()
        context = multiprocessing.get_context("spawn")
        work = [(keys, chunk, warehouse) for chunk in chunks(ids, made.chunk)]
        with ProcessPoolExecutor(processes, mp_context=context, initializer=rerule_pool.begin) as pool:
            for outcome in pool.map(rerule_pool.share, work):
                total.add(outcome)
    total.seconds = time.perf_counter() - started
    return total


def chunks(ids: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Yield the ids in lists of at most `size`."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def apply(made: Plan, ids: Sequence[Any], *, warehouse: bool = True) -> Outcome:
    """Re-rule some calls in one transaction, then bring the warehouse up to date; safe to do twice.

    A call whose text changed while it was read is left to its own understanding, which is under way.
    """
    before = states(Call.objects.filter(pk__in=ids, transcript__isnull=False))
    standing = _alerts(list(before))
    possible = screened(made.own, before)
    wanted = [pk for pk in before if possible[pk] or any(made.concerns(a) for a in standing.get(pk, []))]
    found: dict[Any, list[dict[str, Any]]] = {pk: [] for pk in before}
    for call in read_calls(wanted):
        found[call.pk] = judge(made, call, standing.get(call.pk, []), possible[call.pk])
    outcome = Outcome(calls=len(ids), skipped=len(ids) - len(before))
    moved: list[Any] = []
    with transaction.atomic():
        now = states(Call.objects.select_for_update().filter(pk__in=list(found)).order_by("pk"))
        same = [pk for pk in before if now.get(pk) == before[pk]]
        outcome.skipped += len(before) - len(same)
        current = _alerts(same)
        raised = _store([(pk, found[pk], current.get(pk, [])) for pk in same], made, outcome, moved)
        # Nobody wants a thousand messages about last month; what cannot wait is told of whenever it is found.
        events.after_commit(raised)
    if moved and warehouse:
        try:
            warehouse_doc.load_calls(moved)
        except Exception as error:  # the alerts stand, whatever the warehouse's server does
            log.warning("rerule_warehouse_failed", error=type(error).__name__, calls=len(moved))
            outcome.notes.append("The dashboards are not up to date; `manage.py warehouse rebuild` makes them so.")
    return outcome


def screened(rules: Sequence[Compiled], calls: dict[Any, State]) -> dict[Any, tuple[Compiled, ...]]:
    """Return for each call (by its state) the rules that could find something in it, told from its words alone."""
    words = vocabularies({pk: state[0] for pk, state in calls.items()})
    screen = Screen(rules, set().union(*words.values()))
    return {pk: screen.possible(words[pk]) for pk in calls}


def survey(rules: Sequence[Compiled], ids: Sequence[Any], *, meaning: bool = True) -> tuple[int, list[Found]]:
    """Return how many of the calls have a transcript, and what the rules find in those where they find anything."""
    calls = states(Call.objects.filter(pk__in=ids, transcript__isnull=False))
    possible = screened(rules, calls)
    out = []
    for call in read_calls([pk for pk in ids if possible.get(pk)]):
        found = hits(possible[call.pk], call.text, meaning=meaning)
        if found:
            out.append((call.pk, found))
    return len(calls), out


def judge(
    made: Plan, call: StoredCall, alerts: Sequence[Alert], possible: Sequence[Compiled] | None = None
) -> list[dict[str, Any]]:
    """Return the alerts that the call has now, of the plan's rules and of those that stand on the same words.

    `possible` are the plan's rules that the screen left; the others find nothing here.
    """
    own = hits(made.own if possible is None else possible, call.text)
    if made.keys is None:
        return own
    mine = {services.identity_of(raw): raw for raw in own}
    gone = [a for a in alerts if made.concerns(a) and _weaker(mine.get(a.identity), a)]
    if gone:
        try:
            return hits(made.beside({a.category for a in gone} | {r.category for r in made.own}), call.text)
        except EmbedderMissing:  # then nothing comes forth, and what stands stays
            pass
    others = [_raw(a) for a in alerts if not made.concerns(a)]
    return [raw for raw in deduplicate([*own, *others]) if raw["rule_key"] in made.keys]


def hits(rules: Sequence[Compiled], text: CallText, *, meaning: bool = True) -> list[dict[str, Any]]:
    """Return what these rules find in one call; without `meaning` their semantic parts are not tried.

    Raises EmbedderMissing where the model is needed and not there.
    """
    embedder = embedder_for(rules) if meaning else None
    metrics = talk_metrics(text) if any(r.metrics for r in rules) else {}
    embedded = None
    semantic = [r for r in rules if r.semantic]
    if embedder is not None and semantic:
        parties = {r.party for r in semantic}
        pieces = [c for c in cut(text) if "any" in parties or c.party in parties or c.party == "unknown"]
        embedded = EmbeddedChunks(pieces, embedder, settings.VAR_DIR / "nlu") if pieces else None
    return run_rules(rules, text, metrics, embedded)


def _alerts(ids: Sequence[Any]) -> dict[Any, list[Alert]]:
    found: dict[Any, list[Alert]] = {}
    for alert in Alert.objects.filter(call__in=ids):
        found.setdefault(alert.call_id, []).append(alert)
    return found


def _store(
    work: Iterable[tuple[Any, list[dict[str, Any]], list[Alert]]], made: Plan, outcome: Outcome, moved: list[Any]
) -> list[Any]:
    """Write what differs; return the new alerts that somebody must be told of at once."""
    new: list[Alert] = []
    changed: list[Alert] = []
    gone: list[Any] = []
    for pk, raws, alerts in work:
        standing = {a.identity: a for a in alerts}
        kept = set()
        touched_call = False
        mine = [raw for raw in raws if made.keys is None or raw["rule_key"] in made.keys]
        outcome.hits += len(mine)
        outcome.hit_calls += bool(mine)
        for raw in raws:
            identity = services.identity_of(raw)
            kept.add(identity)
            values = services.alert_values(raw)
            alert = standing.get(identity)
            if alert is None:
                new.append(Alert(call_id=pk, identity=identity, **values))
                touched_call = True
            elif any(getattr(alert, name) != values[name] for name in _COMPARED):
                for name in _COMPARED:
                    setattr(alert, name, values[name])
                changed.append(alert)
                touched_call = True
        for alert in alerts:
            outranked = not made.concerns(alert) and _outranked(alert, raws)
            if alert.identity in kept or not (made.concerns(alert) or outranked):
                continue
            if alert.touched or alert.status != Alert.Status.OPEN:
                outcome.kept += 1
            else:
                gone.append(alert.pk)
                touched_call = True
        if touched_call:
            moved.append(pk)
    Alert.objects.bulk_create(new, batch_size=500)
    Alert.objects.bulk_update(changed, _COMPARED, batch_size=200)
    if gone:
        Alert.objects.filter(pk__in=gone).delete()
    outcome.added += len(new)
    outcome.changed += len(changed)
    outcome.removed += len(gone)
    return [alert.pk for alert in new if alert.category in RESTRICTED]


def _weaker(raw: dict[str, Any] | None, alert: Alert) -> bool:
    if raw is None:
        return True
    rank = SEVERITY_RANK[raw["severity"]], raw["score"]
    return rank < (SEVERITY_RANK[alert.severity], alert.score) or raw["category"] != alert.category


def _outranked(alert: Alert, raws: Sequence[dict[str, Any]]) -> bool:
    """Return whether a new alert stands on the same words with more weight."""
    rivals = [raw for raw in raws if raw["category"] == alert.category and raw["rule_key"] != alert.rule_key]
    if not rivals:
        return False
    mine = _raw(alert)
    return all(one is not mine for one in deduplicate([mine, *rivals]))


def _raw(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in _COMPARED} | {"turn": alert.turn_index}
