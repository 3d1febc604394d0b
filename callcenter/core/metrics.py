"""Figures for Prometheus, read when asked for: the database and the broker already know them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class _State(Collector):
    def collect(self) -> Iterable[Metric]:
        from callcenter.calls.models import BatchRow, Call
        from callcenter.insights.models import Alert
        from callcenter.pipeline import broker
        from callcenter.pipeline.models import Run

        runs = GaugeMetricFamily("callcenter_runs", "Runs by state.", labels=["state"])
        counts = dict(Run.objects.order_by().values_list("state").annotate(Count("pk")))
        for state in Run.State.values:
            runs.add_metric([state], counts.get(state, 0))
        yield runs
        rows = GaugeMetricFamily("callcenter_batch_rows", "Uploaded files by state.", labels=["state"])
        counts = dict(BatchRow.objects.order_by().values_list("state").annotate(Count("pk")))
        for state in BatchRow.State.values:
            rows.add_metric([state], counts.get(state, 0))
        yield rows
        queues = GaugeMetricFamily("callcenter_queue_length", "Messages waiting in a queue.", labels=["queue"])
        for name in broker.QUEUES:
            length = broker.queue_length(name)
            if length is not None:
                queues.add_metric([name], length)
        yield queues
        yield GaugeMetricFamily("callcenter_broker_up", "Whether the broker answers.", value=float(broker.ping()))
        yield GaugeMetricFamily("callcenter_calls", "Calls stored.", value=Call.objects.count())
        yield GaugeMetricFamily("callcenter_alerts_open", "Open alerts.", value=Alert.objects.open().count())


def registry() -> CollectorRegistry:
    """Return a registry with the site's figures."""
    made = CollectorRegistry()
    made.register(_State())
    return made
