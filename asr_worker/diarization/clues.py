"""The phrases that give a party away, each with a weight and the words that a reason uses for it.

Positive weights point to the agent, negative ones to the customer. The patterns read text that
`asr_worker.parties.simplify` has made plain: lower case, apostrophes, no other punctuation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PERSONAL = (
    r"(?:\w+ ){0,3}?(?:name|number|address|postcode|zip|email|date of birth|phone|account|reference|order|password|"
    r"details|make|model|year)"
)
_OWNED = (
    r"(?:\w+ )?(?:bill|account|order|card|car|truck|van|vehicle|phone|internet|broadband|contract|subscription|policy|"
    r"delivery|package|parcel|payment|refund|husband|wife|son|daughter|mother|father|mum|mom|house|landlord|insurance|"
    r"appointment|booking|direct debit|bank|laptop|tv|router|meter|boiler)"
)
_LOOK = (
    r"(?:take a look|have a look|look (?:that|this|it|into)|check|pull (?:up|that)|transfer|put you|get that|book|"
    r"arrange|escalate|send you|see what)"
)
_HOUSE = (
    r"(?:system|records|policy|team|engineers?|technicians?|mechanics?|store|website|office|customers|terms|department)"
)


@dataclass(frozen=True, slots=True)
class Clue:
    """A pattern, its weight, and what somebody who says it does, as in "S1 offers help"."""

    pattern: re.Pattern[str]
    weight: float
    name: str


def _clue(weight: float, name: str, *alternatives: str) -> Clue:
    return Clue(re.compile(r"\b(?:" + "|".join(alternatives) + r")(?!\w)"), weight, name)


CLUES: tuple[Clue, ...] = (
    # What agents are trained to say.
    _clue(
        3.0,
        "thanks for calling",
        r"(?:thank you|thanks) for (?:calling|contacting|ringing|getting in touch|holding)",
    ),
    _clue(
        2.5,
        "offers help",
        r"how (?:can|may|could) (?:i|we) (?:help|assist)",
        r"what can i do for you",
        r"anything else (?:that )?(?:i|we) can (?:help|do|assist)",
    ),
    _clue(
        2.5,
        "announces the recording",
        r"calls? (?:is|may be|are|will be|might be) (?:being )?(?:recorded|monitored)",
        r"recorded line",
        r"quality (?:and|or) training",
        r"training (?:and|or) quality",
    ),
    _clue(
        2.0,
        "greets with name and company",
        r"(?:my name is|this is|i'm|i am) \w+(?: \w+)? (?:and i'm )?(?:calling )?(?:from|with|at|on behalf of)",
        r"you're (?:through|speaking) (?:to|with)",
        r"welcome to",
        r"\w+ speaking how",
    ),
    _clue(
        2.0,
        "calls for a company",
        r"(?:calling|ringing) (?:you )?(?:from|on behalf of)",
        r"(?:am i speaking|may i speak) (?:to|with)",
        r"is (?:now|this) a good time",
    ),
    _clue(
        1.6,
        "asks for details",
        rf"(?:can|could|may|might) i (?:please |just )?(?:have|get|take|ask for|grab|confirm) {_PERSONAL}",
        rf"(?:what's|what is|confirm|verify|spell|give me|tell me) (?:your|the) {_PERSONAL}",
        r"security questions?",
        r"(?:can|could) you (?:please |just )?(?:confirm|verify|spell) (?:your|the|that)",
    ),
    _clue(
        1.4,
        "works on the case",
        rf"(?:let me|i'll|i will|i'm going to|i can) (?:just )?{_LOOK}",
        r"bear with me",
        r"(?:put|place|putting|placing) you on (?:a )?(?:brief |short )?hold",
        r"one moment(?: please)?",
        r"i (?:can|do) see (?:here|that|your|on)",
        r"on (?:my|our) (?:system|screen|end|side)",
        r"i have you down",
    ),
    _clue(
        1.2,
        "speaks for the company",
        r"we (?:can|could|will|do|offer|have|are able to|would)",
        r"we(?:'ll|'re able)",
        rf"our {_HOUSE}",
    ),
    _clue(
        1.0,
        "regrets in the company's name",
        r"i (?:do |really |sincerely )?apologi[sz]e",
        r"(?:i'm|i am|we're|we are) (?:so |very |really )?sorry (?:to hear|about|for)",
        r"i (?:completely |totally |do |can )?understand (?:your|how|that)",
        r"for the inconvenience",
    ),
    _clue(
        1.0,
        "keeps to the forms",
        r"sir",
        r"ma'am",
        r"madam",
        r"you're (?:all set|very welcome)",
        r"have a (?:great|good|nice|lovely|wonderful) (?:day|one|evening|rest|weekend)",
    ),
    # What people say who want something.
    _clue(
        -2.5,
        "says what the call is about",
        r"(?:i'm|i am|i was) (?:calling|ringing|phoning) (?:about|because|to|in regards?|regarding|for|since)",
        r"reason (?:i'm|i am|for my|i'm) call(?:ing)?",
        r"i(?:'d| would) like to (?:make|book|cancel|report|complain|order|return|schedule|change|know|pay|get|ask)",
    ),
    _clue(
        -2.0,
        "has a problem",
        r"i(?:'ve| have)? (?:got|have|had|been having) (?:a |an |some )?"
        r"(?:problem|issue|question|trouble|complaint|issues|problems)",
        r"(?:it's|it is|it|which) (?:isn't|is not|doesn't|does not|won't|not|stopped) "
        r"(?:work|start|turn|charg|com|load|connect)\w*",
        r"not working",
        r"stopped working",
        r"broke down",
        r"i was (?:charged|told|promised|billed|overcharged|wondering)",
        r"i(?:'ve| have) been (?:charged|waiting|told|trying|billed|with you|a customer)",
    ),
    _clue(-1.6, "speaks of own things", rf"my {_OWNED}"),
    _clue(
        -1.4,
        "gives own details",
        r"my (?:first |last |full |sur)?name(?:'s| is)",
        r"my (?:\w+ )?(?:number|address|postcode|zip|zip code|email|date of birth) is",
        r"it's under",
    ),
    _clue(
        -1.2,
        "asks for something",
        r"(?:can|could|would|will) (?:you|you guys|somebody|someone) (?:please )?"
        r"(?:help|tell|cancel|refund|send|check|fix|explain|come|look|change|give me a|let me know)",
        r"(?:can|could) i (?:speak|talk) to (?:a|your|the|somebody|someone)",
        r"do you (?:guys )?(?:have|offer|do|know|take|sell|accept)",
        r"how (?:much|long) (?:is|does|will|would|do|are)",
        r"i (?:need|want) (?:to|a|my|you|some|it)",
    ),
    _clue(
        -1.0,
        "gives thanks for help",
        r"(?:thank you|thanks) (?:so much|very much|a lot|for your help|for the help)",
        r"i (?:really )?appreciate (?:it|that|your)",
        r"you(?:'ve| have) been (?:very |really |so )?helpful",
    ),
    _clue(
        -1.0,
        "is displeased",
        r"ridiculous",
        r"unacceptable",
        r"fed up",
        r"disgusted",
        r"disgraceful",
        r"not good enough",
        r"speak to a (?:manager|supervisor)",
        r"your manager",
    ),
)
