"""Read a client's log of chats, few of them graded; route by it; say what to grade next."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import graphrouter as gr
from graphrouter.data import measure_learnable, suggest_grades
from graphrouter.logs import TaskSource, read_log

MODELS = {"small": (0.1, 14, 0.6), "large": (2.5, 30, 2.1)}
"""US dollars per million tokens, tokens of an answer, seconds."""


def make_line(number: int, model: str) -> str:
    """One call as a client logs it; every fifth has the thumb of its user."""
    price, tokens, seconds = MODELS[model]
    length = 1 + number % 4
    prompt = f"What is {number} + {' + '.join(['29'] * length)}?"
    system = {"role": "system", "content": "You are a calculator."}
    request = {"model": model, "messages": [system, {"role": "user", "content": prompt}]}
    usage = {"prompt_tokens": 12 + 2 * length, "completion_tokens": tokens}
    answer = {"choices": [{"message": {"role": "assistant", "content": "7"}}], "usage": usage}
    line = {"request": request, "response": answer, "latency_s": seconds + 0.1 * length}
    line["cost_usd"] = price * (usage["prompt_tokens"] + 4 * tokens) / 1e6
    if number % 5 == 0:
        line["feedback"] = "up" if model == "large" or length < 3 else "down"
    return json.dumps(line)


def main() -> None:
    """Print what the log teaches, a choice, and what to grade next."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.jsonl"
        lines = [make_line(number, model) for number in range(100) for model in MODELS]
        file.write_text("\n".join(lines), encoding="utf-8")
        found = read_log("openai", file, grade="feedback", tasks=TaskSource("none"))
    print(measure_learnable(found.data).describe()[1])
    router = gr.GraphRouter.fit(found.data, instant=True)
    chat = [{"role": "user", "content": "What is 400 + 29 + 29 + 29 + 29?"}]
    decision = router.route(chat, policy=gr.Policy(min_effect=0.8, fallback="large"))
    print(f"{decision.model}: {decision.effect:.2f}, {decision.cost_usd:.6f} USD")
    print(suggest_grades(found.data, 3)["prompt"].tolist())


if __name__ == "__main__":
    main()
