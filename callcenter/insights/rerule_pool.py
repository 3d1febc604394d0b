"""The other processes of a re-ruling: what they import first, before Django is set up. See rerule.run."""

from __future__ import annotations

from typing import Any


def begin() -> None:
    """Set Django up in a process that has just started."""
    import django

    django.setup()


def share(work: tuple[Any, list[Any], bool]) -> Any:
    """Re-rule one list of calls; the plan is made once in each process."""
    from callcenter.insights import rerule

    keys, ids, warehouse = work
    name = None if keys is None else frozenset(keys)
    if name not in _plans:
        _plans[name] = rerule.plan(keys)
    return rerule.apply(_plans[name], ids, warehouse=warehouse)


_plans: dict[Any, Any] = {}
