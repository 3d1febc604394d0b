"""Texts that are stored in English (reasons, verdicts, notices) in the language of whoever reads them.

What is stored must read the same for everybody, in logs and exports too; so it is written in English, and a page
translates it when it shows it. A text with figures or names in it is found by its pattern.
"""

from __future__ import annotations

import re
from functools import cache

from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as _

FIXED = (
    # the gate
    _("Fewer words are wrong, beyond chance"),
    _("Ordinary speech is heard as well as before"),
    _("Both heard the same ordinary speech"),
    _("Both heard the same recordings"),
    _("Numbers are heard as well as before"), _("Vocabulary is heard as well as before"),
    _("Enough calls to tell"), _("Enough words to tell"),
    _("No more silence where somebody spoke"), _("No more repetition loops"), _("Fast enough"),
    _("Not slower than what is served"), _("WER points"), _("WER points, lower end"), _("x real time"),
    _("points of recall"), _("rows"), _("words"), _("calls"), _("calls or speakers"),
    _("Too little to tell: no words were said."), _("No words were said there."),
    _("Too little to tell: there is no old-domain set, so forgetting cannot be seen."),
    _("None was said in the golden set."), _("The evaluation does not say how long it took."),
    _("dialect"), _("channel"), _("team"), _("noise"), _("the rows do not say"),
    # runs, nights, datasets
    _("candidate"), _("served"), _("golden"), _("old"), _("Build"), _("Import"), _("Upload"),
    _("Another learning run is at work; one runs at a time."),
    _("Building the dataset was tried three times and never ended; see the logs."),
    _("Nothing was reviewed since the last training."), _("The training failed."), _("Cancelled."),
    _("The worker that was training went silent; the run goes on where it was."),
    _("The worker went silent three times; see the logs."), _("A newer re-labelling took its place."),
    _("no consent to training"), _("the call was deleted"), _("private data without known times"),
    _("the recording is withheld until card data in it is muted"), _("nothing left that is long enough"),
    _("the recording is gone from the storage"), _("the recording cannot be decoded"),
    _("the recording ends before it"), _("reviewed before the chosen day"), _("of another team"),
    _("a customer who is heard in the held-out calls"), _("marked as test by the corpus"),
    # masks and deliveries
    _("The recording is no longer in the storage, so it could not be muted."),
    _("A stretch of card data has no usable times, so it is not known what to mute."),
    _("The worker that was muting this recording went silent several times."),
    _("Its alerts were dismissed or withdrawn before it was sent."),
    _("The route was switched off before it was sent."), _("The worker that sent it went silent."),
    # rules and intents
    _("The dashboards are not up to date; `manage.py warehouse rebuild` makes them so."),
    _("New."), _("Came with the house."), _("As it was found"), _("Changed outside this page"),
    _("added"), _("removed"), _("changed"), _("label"), _("description"), _("parent"),
    _("Phrase"), _("Near phrase"), _("Semantic"), _("Metric"), _("Absence"),
    _("likelihood"), _("cosine"), _("doubtful words"), _("repetition"), _("fast speech"),
    _("account number"), _("card code"),
    _("a card number was said; its digits are not kept"),
    _("a card's security code was said; its digits are not kept"),
    _("agent"), _("customer"),
    # datasets and the mistakes of a rule
    _("train"),
    _("validation"),
    _("correction"),
    _("confirmed"),
    _("pseudo"),
    _("replay"),
    _("import"),
    _("Correction"),
    _("Confirmed"),
    _("Pseudo"),
    _("Replay"),
    _("must be a list of rules"),
    _("must be a mapping"),
    _("is not a field of a rule"),
    _("must be lower-case letters, digits, '.', '_' or '-' (at most 80)"),
    _("must be true or false"),
    _("must be a mapping of numbers"),
    _("needs at least one of any, all, absent, metrics, detector, semantic"),
    _("needs a window or an `any` phrase that says when it is due"),
    _("must be 0 (off) or between 0.5 and 1"),
    _("must be a list of phrases"),
    _("must be a list of phrases or of lists of phrases"),
    _("is not a field of a window"),
    _("needs at least one of first_seconds, last_seconds, after, before"),
    _("must be a list such as ['silence_ratio > 0.4']"),
    _("must be a mapping with 'examples'"),
    _("is not a field of semantic"),
    _("must be a list of texts"),
    _("must be a non-empty list of texts"),
    _("a phrase must be a non-empty text"),
    # notices
    _("An alert was assigned to you"), _("Dataset"), _("Model upload"), _("Job"), _("Restricted"),
    _("Somebody"), _("Re-labelling of intents"), _("Tuning of intents"),
    _("new model live"), _("candidate kept"), _("refused by the gate"), _("failed"),
)  # fmt: skip

#: Tried in this order; the wider one comes after the narrower.
PATTERNS = (
    _("No {dimension} is heard worse"),
    _("No more gaps of {words} words"),
    _("{count} rows, the same on both sides."),
    _("Not comparable: {why}."),
    _("Too little to tell: {count} {what}, {bound} needed."),
    _("{count} {what} in the golden set."),
    _("Word error rate {before} before, {after} after: {points} points worse, {level} interval {low} to {high}; at most {most} allowed."),  # noqa: E501
    _("Word error rate {before} before, {after} after: {points} points, {level} interval {low} to {high}, which does not lie wholly above zero."),  # noqa: E501
    _("Word error rate {before} before, {after} after: {points} points, {level} interval {low} to {high}."),
    _("No {dimension} to judge: {why}."),
    _("none has {words} words"),
    _("Of {count} judged, {worst} did worst: {before} before, {after} after ({words} words)."),
    _("Of {count} judged, {worst} did worst: {before} before, {after} after ({words} words); {rest}."),
    _("{count} with too few words to judge; over the bound: {names}"), _("{count} with too few words to judge"),
    _("over the bound: {names}"),
    _("{before} of {said} heard before, {after} after."),
    _("{before} of {rows} rows before, {after} after."),
    _("Processor seconds per second of audio: {before} before, {after} after."),
    _("Seconds per second of audio: {before} before, {after} after."),
    _("{factor} s of work per second of audio, at most {most}."),
    _("{verdict}. It waits for somebody to promote it."),
    _("{verdict}. Another model went live while it was trained, so it was not promoted: evaluate it against the present one."),  # noqa: E501
    _("{verdict}. It is live."),
    _("Passed: {share} fewer words are wrong ({before} before, {after} after; {level} interval {low} to {high} fewer) and all {count} checks hold."),  # noqa: E501
    _("Refused at the check \"{title}\": {detail} ({count} more check failed)."),
    _("Refused at the check \"{title}\": {detail} ({count} more checks failed)."),
    _("Refused at the check \"{title}\": {detail}."),
    _("Only {fresh} segment reviewed since the last training; a night begins at {least}."),
    _("Only {fresh} segments reviewed since the last training; a night begins at {least}."),
    _("Preparing the night failed ({error}); see the logs."),
    _("The old domain could not be put together ({error}); see the logs."),
    _("The result that the learning worker wrote could not be read ({why})."),
    _("It failed ({error}); see the logs, then try again."),
    _("It failed ({error}); see the logs, then start it again."),
    _("It failed here ({error}); see the logs."),
    _("Cancelled by {name}."),
    _("{count} stretches of card data has no usable times, so it is not known what to mute."),
    _("Digits were still heard after muting more for {rounds} times."),
    _("The recording could not be muted: {error}"),
    _("The muted recording could not be listened to again: {error}"),
    _("A rule with a semantic part cannot be applied here: {error}"),
    _("Answered {status}."), _("{service} took it."),
    _("{service} did not take it."),
    _("must be one of {names} (it is missing)"),
    _("must be one of {names}"),
    _("must be a number from {low} to {high}"),
    _("must be a number from {low}"),
    _("{key} is already the key of {other}"),
    _("{text} must read like 'silence_ratio > 0.4'"),
    _("{name} is no talk metric; known: {names}"),
    _("phrase {text} has no word to look for"),
    _("phrase {text} begins or ends with '*', which matches nothing in particular"),
    _("phrase {text} has only optional words"),
    _("phrase {text}: {letter} is not part of the notation (no regular expressions)"),
    _("phrase {text}: an alternative in {part} is empty"),
    _("phrase {text}: {word} needs at least three letters before '*'"),
    _("said '{heard}' (phrase: {text})"),
    _("said '{heard}'"),
    _("closest: {what}"),
    _("the same words {times} times in a row"),
    _("{rate} words in a second"),
    _("mean word probability {mean} over {words} words"),
    _("The clip of row {id} is gone from the storage."),
    _("The clip of row {id} is not the one that was stored."),
    _("There is a dataset named “{name}” already."),
    _("There is a model named “{name}” already."),
    _("The same files are here already, as “{name}”."),
    _("The model has {count} files; at most {max_files} are taken."),
    _("Models of the type “{model_type}” cannot be served here."),
    _("“{name}” is of a kind that can run code when it is loaded. Save the model as safetensors."),
    _("“{name}” does not belong in a model: {list} do."),
    _("“{name}” is not a CTranslate2 file; pickles are refused."),
    _("“{name}” is not a safetensors file."),
    _("“{name}” is not JSON."),
    _("The corpus has {count} rows; at most {max_rows} are taken."),
    _("{file} has no text"),
    _("{file} has a text of more than {max_text} letters"),
    _("{file} lies outside of the corpus"),
    _("{file} is not there"),
    _("{host} did not answer in time."),
    _("{host} refused the connection on port {port}."),
    _("{host} could not be reached ({kind})."),
    _("The certificate of {host} is not valid."),
    _("The name {host} was not found."),
    _("The name {host} has no address."),
    _("Answered {status}: redirects are not followed. Give the final address."),
    _("{service_name} failed ({kind})."),
    _("{host} is a private address; an administrator can allow these (NOTIFY_ALLOW_PRIVATE)."),
    _("Calls cannot be read: {problem}."),
    _("The vectors cannot be fitted: {error}."),
    _("No segment is left for the {what}. Left out: {listed}."),
    _("No row of the corpus can be used. {first}"),
    _("means about the same as {example} ({measure} {score})"), _("heard '{heard}' for '{text}' (likeness {score})"),
    _("not said by {who} from {start} s to {end} s ({words} words heard): {wanted}"),
    _("An alert was assigned to you by {name}"), _("{who} commented on an alert"),
    _("{who} commented on a call"), _("Every file of “{name}” is checked"),
    _("Learning night of {day}: {state}"), _("Dataset “{name}”"), _("Import “{name}”"),
    _("Model upload “{name}”"), _("Evaluation of {model}"), _("Trying {rule}"), _("Re-applying {rule}"),
    _("Answered {status}: {said}"), _("{what} is done"), _("{what} failed"),
    _("{hits} hits in {calls} calls."), _("{changed} of {total} calls changed."),
    _("{taken} taken, {double} there already, {refused} refused."), _("{taken} taken, {refused} refused."),
    _("{taken} taken, {double} there already."), _("{double} there already, {refused} refused."),
    _("{taken} taken."), _("{double} there already."), _("{refused} refused."),
    _("{what} · {team}, call of {when}"), _("{team}, call of {when}"),
)  # fmt: skip


def worded(text: str) -> str:
    """Translate a stored English text; what no pattern knows stays as it is."""
    if not text or (get_language() or "en").startswith("en"):
        return text
    return _worded(text, 3)


def _worded(text: str, depth: int) -> str:
    found = gettext(text)
    if found != text or not depth or not re.search("[A-Za-z]{2}", text):
        return found
    for pattern, form in _forms():
        match = pattern.fullmatch(text)
        if match:
            return gettext(form).format(**{key: _part(value, depth) for key, value in match.groupdict().items()})
    return text


def _part(text: str, depth: int) -> str:
    # A sentence within another lost its full stop there.
    whole = _worded(text, depth - 1)
    if whole == text:
        sentence = _worded(f"{text}.", depth - 1)
        whole = text if sentence == f"{text}." else sentence.rstrip("。.")
    return whole


@cache
def _forms() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(form)), re.DOTALL), form) for form in PATTERNS
    ]
