"""Judges a share of the answers that nobody has graded, behind the requests that they answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from graphrouter.decision import Decision
from graphrouter.exceptions import ConfigError, GraphRouterError
from graphrouter.gateway.answer_texts import read_answer_text, read_streamed_text
from graphrouter.gateway.exploring import find_chances
from graphrouter.gateway.judge_settings import JudgeSettings
from graphrouter.gateway.model_judge import ModelJudge
from graphrouter.gateway.redaction import Redaction
from graphrouter.gateway.store.database import Store
from graphrouter.gateway.store.group_commit import GroupCommit
from graphrouter.gateway.store.judged_outcomes import add_judged, read_overlap
from graphrouter.gateway.store.spending import name_day, reserve, settle
from graphrouter.gateway.store.store_tables import outcomes
from graphrouter.gateway.thresholds import list_running
from graphrouter.grades import Grade, Judge

__all__ = ["BackgroundJudging", "Judgement"]

MOST_WAITING = 200
"""Answers; more are not judged."""
MOST_BYTES = 262_144
"""Of an answer; longer ones are not judged."""
_FEWEST_PAIRS = 30
_LEARNED_FOR_S = 60.0
"""Seconds after which the reliability of a judge is read again."""
_LEAST_WEIGHT = 0.1
"""What a decision counts for that is certain: where nobody looks, nobody sees a model change."""
_FIRST_WEIGHTS = 20
"""Decisions as which the first guess of the mean weight, one half, counts."""

_logger = logging.getLogger(__name__)


class Judgement(NamedTuple):
    """An answer to be judged."""

    judge: JudgeSettings
    chance: float
    """With which it was taken."""
    decision_id: str
    model: str
    """Who answered."""
    expected: float
    """Effect that was expected of the answer."""
    prompt: str


class BackgroundJudging:
    """Takes answers as they pass, and judges them later; nobody waits for it."""

    def __init__(
        self,
        judges: Sequence[JudgeSettings],
        store: Store,
        writer: GroupCommit,
        models: Mapping[str, ModelJudge],
        *,
        wake: Callable[[], None] = lambda: None,
        redact: Redaction | None = None,
        seed: int | None = None,
    ) -> None:
        """A judging that has not begun.

        Args:
            judges: The first that may judge a decision does.
            store: Where grades go.
            writer: Of the store.
            models: Those of judges that are models, by the judge's name.
            wake: Told when there is a grade.
            redact: What texts go through before a model sees them.
            seed: Of what it draws.

        Raises:
            ConfigError: A model has no prices, so that its dollars cannot be capped.
        """
        for each in judges:
            if each.kind == "model" and not models[each.name].has_prices:
                raise ConfigError(
                    f"The judge {each.name!r} is {each.model!r}, whose tokens have no prices, so "
                    "its dollars cannot be capped. State them in the file of upstreams."
                )
        self._judges, self._store, self._writer, self._models = judges, store, writer, models
        self._redact = Redaction() if redact is None else redact
        self._verdicts = {each.name: each.make_judge() for each in judges}
        self._waiting: asyncio.Queue[tuple[float, Judgement, str]] = asyncio.Queue(MOST_WAITING)
        self._reliability: dict[str, tuple[float, Judge]] = {}
        self._weights = dict.fromkeys(
            (e.name for e in judges), (_FIRST_WEIGHTS, _FIRST_WEIGHTS / 2)
        )
        self._wake, self._rng = wake, np.random.default_rng(seed)
        self.counts: Counter[tuple[str, str]] = Counter()
        """Answers by judge and what became of them."""
        self.nanousd: Counter[str] = Counter()
        """Dollars by judge."""

    def take(
        self,
        decision: Decision | None,
        task: str | None,
        prompt: str | None,
        *,
        model: str,
        decision_id: str,
    ) -> Judgement | None:
        """Whether an answer is to be judged, and by whom; None where it is not.

        It is drawn with a chance in proportion to that of another candidate being better than who
        answered, by their intervals, so that grades come where they may change a decision.

        Args:
            decision: Why the model was asked; None where nothing was decided.
            task: Of the prompt.
            prompt: What was routed by.
            model: Who answers.
            decision_id: Of the decision.
        """
        if decision is None or prompt is None:
            return None
        judge = next((each for each in self._judges if each.may_judge(task, prompt)), None)
        running = list_running(decision)
        place = next((i for i, each in enumerate(running) if each.model == model), None)
        if judge is None or place is None:
            return None
        weight = _LEAST_WEIGHT + 1 - float(find_chances(running, self._rng)[place])
        number, total = self._weights[judge.name]
        number, total = number + 1, total + weight
        self._weights[judge.name] = number, total
        # The share on average; the larger it is, the less is picked, and at 1 all are taken.
        alike = judge.share**2
        chance = min(1.0, judge.share * (alike + (1 - alike) * weight * number / total))
        if self._rng.random() >= chance:
            return None
        return Judgement(judge, chance, decision_id, model, running[place].effect, prompt)

    def offer(self, judgement: Judgement, text: str) -> None:
        """Have an answer judged once others have had their time to grade it.

        Args:
            judgement: By `take`.
            text: The answer; an empty one is not judged.
        """
        name = judgement.judge.name
        if not text.strip():
            self.counts[name, "empty"] += 1
            return
        try:
            due = time.monotonic() + judgement.judge.after_s
            self._waiting.put_nowait((due, judgement, text))
        except asyncio.QueueFull:
            self.counts[name, "too_many"] += 1

    def offer_whole(self, judgement: Judgement, content: bytes) -> None:
        """`offer` an answer that is no stream, in the client's form."""
        if len(content) <= MOST_BYTES:
            self.offer(judgement, read_answer_text(content))

    async def listen(
        self, judgement: Judgement, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """The same stream, whose text is offered once it has passed whole."""
        kept, size = [], 0
        async for piece in stream:
            size += len(piece)
            if size <= MOST_BYTES:
                kept.append(piece)
            yield piece
        if size <= MOST_BYTES:
            self.offer(judgement, read_streamed_text(b"".join(kept)))

    async def work(self) -> None:
        """Judge what is offered until it is cancelled."""
        while True:
            due, judgement, text = await self._waiting.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                became = await self._judge(judgement, text)
            except (GraphRouterError, sa.exc.DBAPIError) as error:
                became = "failed"
                _logger.warning("The judge %r failed: %s", judgement.judge.name, error)
            except Exception:  # it must go on, whatever one answer was
                became = "failed"
                _logger.exception("The judge %r failed.", judgement.judge.name)
            self.counts[judgement.judge.name, became] += 1

    async def _judge(self, judgement: Judgement, text: str) -> str:
        """What becomes of an answer."""
        settings = judgement.judge
        is_graded = await asyncio.to_thread(self._is_graded, judgement)
        if is_graded and self._rng.random() >= settings.checks:
            return "graded"
        verdict = self._verdicts[settings.name]
        if verdict is None:
            score = await self._ask(settings, judgement.prompt, text)
        else:
            score = Grade.of(await asyncio.to_thread(verdict, judgement.prompt, text)).effect
        if score is None:
            return "over_budget"
        judge = await asyncio.to_thread(self._find_reliability, settings)
        await self._writer.run(
            lambda connection: add_judged(
                self._store,
                connection,
                settings.grader,
                judgement,
                score=score,
                judge=judge,
                teaches=not is_graded,
            )
        )
        self._wake()
        return "judged"

    def _is_graded(self, judgement: Judgement) -> bool:
        wanted = sa.select(outcomes.c.number).where(
            outcomes.c.decision_id == judgement.decision_id, outcomes.c.model == judgement.model
        )
        with self._store.reader.connect() as connection:
            return connection.execute(wanted.limit(1)).first() is not None

    def _find_reliability(self, settings: JudgeSettings) -> Judge:
        """What is stated, until enough of its answers were graded by others too."""
        read, judge = self._reliability.get(settings.name, (float("-inf"), Judge()))
        if time.monotonic() - read < _LEARNED_FOR_S:
            return judge
        with self._store.reader.connect() as connection:
            scores, effects = read_overlap(connection, settings.grader)
        judge = Judge.parse(settings.reliability)
        if len(scores) >= _FEWEST_PAIRS:
            judge = Judge.fit(scores, effects)
        self._reliability[settings.name] = time.monotonic(), judge
        return judge

    async def _ask(self, settings: JudgeSettings, prompt: str, text: str) -> float | None:
        """The score of a model; None where the budget of the day has no room."""
        seen, answer = self._redact(prompt), self._redact(text)
        if seen is None or answer is None:
            raise ConfigError("its texts could not be redacted.")
        asked, day = self._models[settings.name], name_day(time.time())
        limit = round((settings.usd_per_day or 0.0) * 1e9)
        expected = asked.expect_nanousd(settings.rubric or "", seen, answer)

        def put(connection: sa.Connection) -> bool:
            return reserve(self._store, connection, settings.grader, day, expected, limit)

        if not await self._writer.run(put):
            return None
        spent = expected
        try:
            score, spent = await asked.ask(settings.rubric or "", seen, answer)
        finally:
            self.nanousd[settings.name] += spent
            self._writer.run(
                lambda connection: settle(
                    self._store, connection, settings.grader, day, expected, spent
                )
            )
        if score is None:
            raise ConfigError("its answer holds no grade; expected a last line such as Grade: 7.")
        return score
