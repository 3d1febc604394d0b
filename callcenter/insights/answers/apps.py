from django.apps import AppConfig


class AnswersConfig(AppConfig):
    name = "callcenter.insights.answers"
    label = "answers"
    verbose_name = "Answers"
    default_auto_field = "django.db.models.BigAutoField"
