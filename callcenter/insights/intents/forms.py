"""The form of one intent: what a supervisor may write, checked against the rest of the taxonomy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from callcenter.insights.intents import taxonomy
from callcenter.insights.intents.models import UNKNOWN

MAX_EXAMPLES, MAX_LENGTH = 500, 300
FEW = 5
Item = dict[str, Any]


class IntentForm(forms.Form):
    """One intent. `self.item` is the intent as the form makes it, once the form is valid."""

    label = forms.CharField(max_length=120, label=_("Name"), help_text=_("As it stands on pages: Cancel contract."))
    description = forms.CharField(
        required=False,
        label=_("Description"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("What belongs here and what does not. Learned from where there are no examples."),
    )
    examples = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 10}),
        label=_("Example phrases"),
        help_text=_("One on a line, as callers say them. Five are a beginning, ten to twenty are good."),
    )
    parent = forms.ChoiceField(
        label=_("Parent"), required=False, help_text=_("Where it stands in lists; it is not learned from.")
    )
    enabled = forms.BooleanField(required=False, initial=True, label=_("In use"))

    def __init__(self, *args: Any, items: list[Item], name: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.items, self.name = items, name
        below = {item["name"] for item in items if name and name in taxonomy.ancestors(item["name"], items)}
        choices = [
            (item["name"], "\N{NO-BREAK SPACE}" * 4 * depth + item["label"])
            for depth, item in taxonomy.tree(items)
            if item["name"] not in {name, *below}
        ]
        field = self.fields["parent"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", gettext("None: it stands alone")), *choices]
        for key, one in self.fields.items():
            kind = "form-select" if key == "parent" else "form-check-input" if key == "enabled" else "form-control"
            one.widget.attrs["class"] = kind
            if one.help_text:
                one.widget.attrs["aria-describedby"] = f"id_{key}_help"

    @classmethod
    def of(cls, item: Item, items: list[Item]) -> IntentForm:
        """Return the form filled with an intent as it is."""
        initial = {**item, "examples": "\n".join(item["examples"])}
        return cls(initial=initial, items=items, name=item["name"])

    def clean_label(self) -> str:
        label = " ".join(self.cleaned_data["label"].split())
        others = {item["label"].lower() for item in self.items if item["name"] != self.name}
        if label.lower() in others:
            raise forms.ValidationError(gettext("Another intent has this name already."))
        if not self.name:
            name = slugify(label).replace("-", "_")[:60]
            if not name or name in (UNKNOWN, "_other"):
                raise forms.ValidationError(gettext("This name cannot be used; choose another."))
            if name in {item["name"] for item in self.items}:
                raise forms.ValidationError(
                    gettext("There is an intent of this name, perhaps switched off; choose another.")
                )
        return label

    def clean_examples(self) -> list[str]:
        lines = [" ".join(line.split()) for line in self.cleaned_data["examples"].splitlines()]
        phrases: dict[str, str] = {}
        for line in lines:
            if line:
                phrases.setdefault(line.lower(), line)
        problems = [
            gettext("Too long (over {max_length} letters): “{p}…”").format(max_length=MAX_LENGTH, p=p[:40])
            for p in phrases.values()
            if len(p) > MAX_LENGTH
        ]
        if len(phrases) > MAX_EXAMPLES:
            problems.append(
                gettext("There are {count} phrases; at most {max_examples} are taken.").format(
                    count=len(phrases), max_examples=MAX_EXAMPLES
                )
            )
        for item in self.items:
            if item["name"] != self.name and item["enabled"]:
                twice = [phrases[text.lower()] for text in item["examples"] if text.lower() in phrases]
                said = gettext("“{text}” is an example of {intent} already.")
                problems += [said.format(text=text[:60], intent=item["label"]) for text in twice[:5]]
        if problems:
            raise forms.ValidationError(problems)
        return list(phrases.values())

    @property
    def item(self) -> Item:
        data = self.cleaned_data
        return {
            "name": self.name or slugify(data["label"]).replace("-", "_")[:60],
            "label": data["label"],
            "description": data["description"].strip(),
            "examples": data["examples"],
            "parent": data["parent"],
            "enabled": data["enabled"],
        }
