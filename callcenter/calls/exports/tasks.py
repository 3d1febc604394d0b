"""Celery doors of exports: load by id, call a service."""

from __future__ import annotations

from celery import shared_task

from callcenter.calls.exports import services


@shared_task(name="exports.make")
def make(export_id: str) -> None:
    """Write one export."""
    services.work(export_id)


@shared_task(name="exports.sweep")
def sweep() -> None:
    """Find what got lost, remove what is old."""
    services.sweep()
