"""Figures in Chinese pages are grouped by thousands, as in any report; Django's table leaves them bare."""

from __future__ import annotations

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
