"""Addresses of correcting and review."""

from __future__ import annotations

from django.urls import path

from callcenter.review.views import pages, turn

app_name = "review"
urlpatterns = [
    path("calls/<uuid:call_id>/turns/<int:turn>-<int:word>/", turn.turn, name="turn"),
    path("calls/<uuid:call_id>/undo", turn.undo, name="undo"),
    path("calls/<uuid:call_id>/corrected", turn.done, name="done"),
    path("corrections/<uuid:correction_id>/stranded", turn.stranded, name="stranded"),
    path("corrections/groups/<uuid:group>/undo", turn.undo_group, name="undo_group"),
    path("review/", pages.queue, name="queue"),
    path("review/next", pages.next_segment, name="next"),
    path("review/approval/", pages.approval, name="approval"),
    path("review/approval/decide", pages.decide, name="decide"),
    path("review/approval/rule", pages.rule, name="rule"),
    path("review/fix-all/", pages.fix_all, name="fix_all"),
    path("review/fix-all/apply", pages.fix_all_apply, name="fix_all_apply"),
    path("review/vocabulary/", pages.vocabulary_page, name="vocabulary"),
    path("review/vocabulary/add", pages.vocabulary_add, name="vocabulary_add"),
    path("review/vocabulary/<int:term_id>/remove", pages.vocabulary_remove, name="vocabulary_remove"),
    path("review/mine/", pages.mine, name="mine"),
]
