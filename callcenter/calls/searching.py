"""What people type into the search field, as a query of the index of words.

Words (all of them, in any form), "a phrase", `or`, `-not`, and `refund near/5 broken`: both words with at most five
steps between them, in either order. Common words such as "the" are not in the index.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import and_
from typing import Any

from django.contrib.postgres.search import CombinedSearchQuery, SearchQuery

MOST_APART = 20
_NEAR = re.compile(r"(?<![\w\"-])([^\W_]+)\s+near/(\d{1,3})\s+([^\W_]+)(?![\w\"])", re.IGNORECASE)


def search_query(text: str) -> SearchQuery | CombinedSearchQuery:
    """Return the full-text query for what was typed; never fails, whatever was typed."""
    parts: list[Any] = []
    rest = text
    while found := _NEAR.search(rest):
        first, steps, second = found.groups()
        parts.append(_near(first, second, min(MOST_APART, max(1, int(steps)))))
        rest = f"{rest[: found.start()]} {rest[found.end() :]}"
    if rest.strip() or not parts:
        parts.append(SearchQuery(rest, search_type="websearch", config="english"))
    return reduce(and_, parts)


def _near(first: str, second: str, steps: int) -> SearchQuery:
    """Return "within so many steps, either way round": the index knows exact distances, so it is a choice of them."""
    # Both are letters and digits alone, so that nothing in them can be an operator.
    ways = [f"'{a}' <{n}> '{b}'" for a, b in ((first, second), (second, first)) for n in range(1, steps + 1)]
    return SearchQuery(" | ".join(ways), search_type="raw", config="english")
