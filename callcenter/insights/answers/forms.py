"""The form of an article."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from callcenter.insights.answers.models import Article


class ArticleForm(forms.Form):
    """Title, text, reply template, sample questions, tags."""

    title = forms.CharField(label=_("Title"), max_length=200)
    body = forms.CharField(label=_("Text"), max_length=40_000, widget=forms.Textarea(attrs={"rows": 12}))
    reply = forms.CharField(
        label=_("Reply template"), required=False, max_length=40_000, widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("What an agent may say or send. It is shown on calls that this article answers."),
    )  # fmt: skip
    questions = forms.CharField(
        label=_("How customers ask for it"), required=False, max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}), help_text=_("One question a line; each counts like the title."),
    )  # fmt: skip
    tags = forms.CharField(label=_("Tags"), required=False, max_length=400, help_text=_("Comma separated."))
    enabled = forms.BooleanField(required=False, initial=True, label=_("In use"))

    def __init__(self, *args: Any, article: Article | None = None, **kwargs: Any) -> None:
        if article is not None:
            kwargs.setdefault("initial", {
                "title": article.title, "body": article.body, "reply": article.reply, "enabled": article.enabled,
                "questions": "\n".join(article.questions or []), "tags": ", ".join(article.tags or []),
            })  # fmt: skip
        super().__init__(*args, **kwargs)
        for name, one in self.fields.items():
            check = isinstance(one.widget, forms.CheckboxInput)
            one.widget.attrs["class"] = "form-check-input" if check else "form-control"
            if one.help_text:
                one.widget.attrs["aria-describedby"] = f"id_{name}_help"

    def clean_questions(self) -> list[str]:
        return list(dict.fromkeys(q.strip() for q in self.cleaned_data["questions"].splitlines() if q.strip()))[:20]

    def clean_tags(self) -> list[str]:
        return list(dict.fromkeys(t.strip() for t in self.cleaned_data["tags"].split(",") if t.strip()))[:20]
