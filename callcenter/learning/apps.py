from django.apps import AppConfig


class LearningConfig(AppConfig):
    name = "callcenter.learning"
    default_auto_field = "django.db.models.BigAutoField"
