"""Alembic migrations of the warehouse; run by `analytics.warehouse.migrate`, never by hand."""
