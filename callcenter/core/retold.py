"""Sentences that were written before anybody knew who would read them, told again in the reader's language.

Workers and services keep why a file was refused or a run failed in the database, in English. A page shows it in the
language of whoever looks, so the sentence is found again among those of the catalogue, its figures taken out and put
into the other language. What is not found stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext_noop as N_
from django.utils.translation.trans_real import translation

#: What the speech side says. It knows no Django, so its sentences are listed here for the catalogue.
FROM_WORKERS = (
    N_("The speech worker met an error (%(error)s); it will be tried again."),
    N_("The recording is not in the storage that the speech worker uses."),
    N_("No sound in the file could be decoded."),
    N_("No sound in the file could be decoded: it is damaged or cut off right after its header."),
    N_("The file holds no sound that can be decoded."),
    N_("The file is empty (0 bytes)."),
    N_("The recording is 0 seconds long."),
    N_("The file is cut short: its header promises %(stated)s and only %(found)s are there. Upload the complete file."),
    N_(
        "The recording has %(channels)s channels; only one or two are supported. "
        "Export it as mono or as stereo with one party on each side."
    ),
    N_("A sample rate of %(rate)s Hz is not supported (%(low)s to %(high)s Hz are)."),
    N_("%(count)s damaged packet(s) were skipped while decoding"),
    N_("the header suggests %(expected)s but %(found)s are there; the file may be cut short"),
    N_("a repetition loop was decoded again"),
    N_("%(count)s word(s) without sound under them were dropped"),
    N_("no speech was found in this recording"),
    N_("The recording has one channel, so channels cannot tell the parties apart."),
    N_("The recording is too long to tell the speakers apart (limit %(limit)s)."),
    N_("Speakers could not be told apart: %(error)s"),
    N_("Speakers could not be told apart (%(error)s)."),
    N_("Nothing was said, so nobody could be told apart."),
    N_("Only one speaker was heard, and the words do not say which party it is."),
    N_("Only one speaker was heard: the %(party)s, who %(said)s."),
    N_("The words say little; the order of speaking and the share of talk decided."),
    N_("A person swapped the parties."),
)
_PLACE = re.compile(r"%\((\w+)\)[sd]")


def retold(text: object) -> str:
    """Return a stored English sentence in the active language; unchanged where the catalogue does not have it."""
    told = str(text)
    language = get_language()
    if not told or language is None or language == settings.LANGUAGE_CODE:
        return told
    return _told(language, told)


@lru_cache(maxsize=4096)
def _told(language: str, text: str) -> str:
    catalogue = translation(language)
    plain = catalogue.gettext(text)
    if plain != text:
        return plain
    for pattern, source in _patterns(language):
        if found := pattern.fullmatch(text):
            words = {name: _told(language, value) for name, value in found.groupdict().items()}
            return catalogue.gettext(source) % words
    return text


def _sources(language: str) -> Iterable[Any]:
    catalogue: Any = translation(language)
    return catalogue._catalog.keys()  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what recognises each sentence with places in it, the most specific first."""
    found = []
    for source in {key if isinstance(key, str) else key[0] for key in _sources(language)}:
        places = _PLACE.findall(source)
        rest = _PLACE.sub("", source)
        # Few words around a place would recognise what was never meant.
        if places and len(places) == len(set(places)) and len(rest.strip()) > 8:
            parts = [re.escape(part.replace("%%", "%")) for part in _PLACE.split(source)[::2]]
            names = [f"(?P<{name}>.+?)" for name in places]
            written = "".join(a + b for a, b in zip(parts, [*names, ""], strict=True))
            found.append((re.compile(written, re.DOTALL), source, len(rest)))
    return tuple((pattern, source) for pattern, source, _ in sorted(found, key=lambda item: -item[2]))
