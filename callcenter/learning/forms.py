"""Forms of the learning pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from asr_worker.training.config import METHODS
from callcenter.accounts.models import Team, User
from callcenter.calls.selectors import visible_teams
from callcenter.learning.models import Dataset, Model

SERVABLE = tuple(method for method in METHODS if method not in ("prefix", "prompt"))
METHOD_LABELS = {
    "full": _("Full: all weights"),
    "frozen_encoder": _("Frozen encoder (fast on processors)"),
    "lora": "LoRA",
    "adalora": "AdaLoRA",
    "ia3": "IA3",
    "bottleneck": _("Bottleneck adapters"),
}


class _Styled(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, one in self.fields.items():
            widget = one.widget
            if isinstance(widget, forms.CheckboxInput):
                widget.attrs["class"] = "form-check-input"
            else:
                widget.attrs["class"] = "form-select" if isinstance(widget, forms.Select) else "form-control"
            if one.help_text:
                widget.attrs["aria-describedby"] = f"id_{name}_help"


class BuildForm(_Styled):
    """What a dataset is built from."""

    name = forms.CharField(label=_("Name"), max_length=110, required=False, help_text=_("Empty: the date and time."))
    since = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        label=_("Reviewed since"),
        help_text=_("Narrows what is learned from; the golden set always takes everything held out."),
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.none(), label=_("Teams"), required=False, help_text=_("None chosen: all teams.")
    )
    replay_share = forms.FloatField(
        min_value=0, max_value=0.9, label=_("Share of old-domain sound"), help_text=_("0 to 0.9; against forgetting.")
    )
    pseudo_share = forms.FloatField(
        min_value=0, max_value=0.9, label=_("Share of pseudo-labels"),
        help_text=_("0 to 0.9; turns that the model was sure of and nobody has touched."),
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        env = settings.ENV
        kwargs.setdefault(
            "initial", {"replay_share": env.LEARNING_REPLAY_SHARE, "pseudo_share": env.LEARNING_PSEUDO_SHARE}
        )
        super().__init__(*args, **kwargs)
        teams: Any = self.fields["teams"]
        everybody = user.sees_all_teams or user.role == "operator"
        teams.queryset = Team.objects.all() if everybody else visible_teams(user)
        teams.widget.attrs["size"] = 4

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if name and Dataset.objects.filter(name=name).exists():
            raise forms.ValidationError(gettext("There is a dataset of this name already."))
        return name


class ImportForm(_Styled):
    """A corpus from outside."""

    corpus = forms.FileField(
        label=_("Zip archive"),
        help_text=_("Audio and a list: manifest.jsonl, a CSV with audio and text, or a Hugging Face audio folder."),
    )
    import_name = forms.CharField(max_length=110, label=_("Name"))
    role = forms.ChoiceField(
        label=_("Role"),
        choices=[
            ("train", _("Training data")),
            ("golden", _("Golden set: judged on, never trained on")),
            ("old_domain", _("Old domain: must not get worse")),
        ],
    )

    def clean_import_name(self) -> str:
        name = str(self.cleaned_data["import_name"]).strip()
        if Dataset.objects.filter(name=name).exists():
            raise forms.ValidationError(gettext("There is a dataset of this name already."))
        return name


class TrainForm(_Styled):
    """How a dataset is trained on."""

    method = forms.ChoiceField(label=_("Method"), choices=[(m, METHOD_LABELS.get(m, m)) for m in SERVABLE])
    epochs = forms.IntegerField(label=_("Epochs"), min_value=1, max_value=100)
    learning_rate = forms.FloatField(
        label=_("Learning rate"), min_value=0, max_value=1, help_text=_("0: the method's own.")
    )
    base = forms.ModelChoiceField(
        Model.objects.none(), required=False, label=_("Base model"), empty_label=_("As the settings say")
    )
    golden = forms.ModelChoiceField(
        Dataset.objects.none(), required=False, label=_("Golden set"), empty_label=_("The dataset's own")
    )
    auto_promote = forms.BooleanField(required=False, label=_("Promote if it passes the gate"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["base"].queryset = Model.objects.exclude(status=Model.Status.REFUSED)
        fields["golden"].queryset = Dataset.objects.filter(kind=Dataset.Kind.GOLDEN)


class UploadForm(_Styled):
    """A model trained elsewhere."""

    archive = forms.FileField(
        label=_("Zip archive"),
        help_text=_("A transformers checkpoint (config.json, model.safetensors, tokenizer) and/or CTranslate2 files."),
    )
    name = forms.CharField(label=_("Name"), max_length=110)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if Model.objects.filter(name=name).exists():
            raise forms.ValidationError(gettext("There is a model of this name already."))
        return name
