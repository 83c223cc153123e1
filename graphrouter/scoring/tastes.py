"""What the grades of users deviate from what is expected, and what that says of a target."""

from __future__ import annotations

from typing import NamedTuple

from graphrouter.scoring.operations import Array, operations_of


class Tastes(NamedTuple):
    """Deviations of users, in logits of the effect.

    A users and newcomers (see `features.tables.Askers`), G teams, T tasks, M models; R pairs of a
    user and a task with outcomes, those of a user together.
    """

    shift: Array
    """(A, M) on queries of any task: how strictly a user grades, and what of each model."""
    variance: Array
    """(A, M) posterior variance of the shift, >= 0."""
    team: Array
    """(A,) int64 position of the team; G = none."""
    team_kind: Array
    """(G + 1, T, M) what is more in each task, of those who have no outcome there."""
    team_kind_variance: Array
    """(G + 1, T, M) posterior variance of it, >= 0."""
    kind_start: Array
    """(A + 1,) int64: the pairs of user a are kind_start[a] .. kind_start[a + 1]."""
    kind_task: Array
    """(R,) int64 task of each pair."""
    kind: Array
    """(R, M) what is more than of the team."""
    kind_variance: Array
    """(R, M) how much more is its variance than that of those without outcomes; seldom above 0."""


class ToldTaste(NamedTuple):
    """What is known of who asks. B targets, M models."""

    shift: Array
    """(B, M) logits to be added to the effect."""
    variance: Array
    """(B, M) of the shift, >= 0."""


def tell_tastes(tastes: Tastes, asker: Array, task_share: Array) -> ToldTaste:
    """What who asks is expected to grade otherwise; zeros where nobody is named.

    Args:
        tastes: Of the support.
        asker: (B,) int64 as `Targets.asker`.
        task_share: (B, T + 1) belief over tasks.
    """
    xp = operations_of(task_share)
    is_named, who = (asker >= 0)[:, None], xp.clip(asker, 0)
    team, share = tastes.team[who], task_share[:, :-1, None]
    shift = tastes.shift[who] + (share * tastes.team_kind[team]).sum(axis=1)
    variance = tastes.variance[who]
    variance = variance + (share * share * tastes.team_kind_variance[team]).sum(axis=1)
    start = tastes.kind_start[who]
    count = tastes.kind_start[who + 1] - start
    most = int(count.max()) if len(count) else 0
    if most > 0:
        place = xp.positions_of(task_share, most)
        is_pair = place < count[:, None]
        pair = xp.clip(start[:, None] + place, None, len(tastes.kind_task) - 1)
        rows = xp.positions_of(task_share, len(who))[:, None]
        believed = (is_pair * task_share[rows, tastes.kind_task[pair]])[:, :, None]
        shift = shift + (believed * tastes.kind[pair]).sum(axis=1)
        variance = variance + (believed * believed * tastes.kind_variance[pair]).sum(axis=1)
    return ToldTaste(is_named * shift, is_named * xp.clip(variance, 0))
