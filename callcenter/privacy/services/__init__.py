"""The one layer in front of every place that words go to. What others call:

text_for(who, call, text)          one text, as a user or a sink ("webhook", "notification", "log", ...) may have it
texts_for(who, call, value)        the same for every text in a JSON value
document_for(who, call, document)  a transcript document
show_alerts(who, alerts)           alerts with their quotes, reasons and comments, for showing
typed(text)                        what a person typed (a note, a comment, a reason), before it is stored
withheld(recording)                the sentence that says why a recording is not to be heard now, or ""
"""

from callcenter.privacy.services.keeping import typed
from callcenter.privacy.services.levels import level_for, may_reveal, reveal
from callcenter.privacy.services.masking import withheld
from callcenter.privacy.services.seeing import document_for, show_alerts, text_for, texts_for

__all__ = [
    "document_for", "level_for", "may_reveal", "reveal", "show_alerts", "text_for", "texts_for", "typed", "withheld",
]  # fmt: skip
