from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    name = "callcenter.dashboards"
    default_auto_field = "django.db.models.BigAutoField"
