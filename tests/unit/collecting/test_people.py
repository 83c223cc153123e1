"""People who grade: in the terminal, and on a page in a real browser."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from graphrouter.collecting import PromptRow
from graphrouter.collecting.people import GradingPage, TerminalJudge
from tests.unit.collecting.conftest import Provider, Run, make_prompts

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"


def test_the_terminal_is_asked_until_it_says_a_grade(provider: Provider, run: Run) -> None:
    shown: list[str] = []
    said = iter(["9", "", "5\n", "s", "1"])
    judge = TerminalJudge(shown.append, lambda: next(said))
    found = run(1, judge)
    assert (found.num_answers, found.num_graded) == (3, 2)
    effects = sorted(found.dataset.outcomes["effect"].dropna())  # type: ignore[union-attr]
    assert effects == [0, 1]
    text = "\n".join(shown)
    assert "0 + 1?" in text
    assert "Expected:\n4" in text
    assert not any(model in text for model in ("nano", "grand", "other"))  # blind


def test_only_what_is_not_graded_is_asked(run: Run) -> None:
    assert run(2, TerminalJudge(lambda line: None, lambda: "3")).num_graded == 6

    def read() -> str:
        raise AssertionError("nothing is left to grade")

    assert run(2, TerminalJudge(lambda line: None, read)).num_graded == 6


def ask(page: GradingPage, path: str, body: Any = None, host: str | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        page.address + path, data, {} if host is None else {"host": host}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read().decode()
            return response.status, json.loads(text) if text.startswith("{") else text
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_page_takes_grades_of_what_it_asks_and_of_nothing_else() -> None:
    with GradingPage() as page:
        assert ask(page, "next") == (200, {"done": False})
        grades: list[Any] = []

        def collect() -> None:
            for expected in ("7", None):
                prompt = PromptRow("1", "3 + 4?", expected=expected)
                grades.append(asyncio.run(page.grade(prompt, "nano", "Seven.")))

        thread = threading.Thread(target=collect)
        thread.start()
        while "number" not in ask(page, "next")[1]:
            pass
        told = ask(page, "next")[1]
        assert told == {
            "done": False,
            "number": 1,
            "prompt": "3 + 4?",
            "expected": "7",
            "answer": "Seven.",
        }
        for body in (
            {},
            [],
            {"number": 1},
            {"number": 1, "effect": 2},
            {"number": 1, "effect": "x"},
        ):
            assert ask(page, "grade", body)[0] == 400
        assert ask(page, "grade", {"number": 2, "effect": 1})[0] == 409
        assert ask(page, "grade", {"number": 1, "effect": 0.5})[0] == 200
        while ask(page, "next")[1].get("number") != 2:
            pass
        assert ask(page, "grade", {"number": 1, "effect": 1})[0] == 409
        assert ask(page, "grade", {"number": 2, "effect": None})[0] == 200
        thread.join(10)
        assert grades == [0.5, None]


def test_who_may_see_the_page() -> None:
    with GradingPage() as page:
        assert ask(page, "")[0] == 200
        assert ask(page, "../")[0] == 404  # without the secret
        for path, body in (("", None), ("next", None), ("grade", {"number": 1, "effect": 1})):
            assert ask(page, path, body, host="page.example.com")[0] == 403
        with urllib.request.urlopen(page.address, timeout=30) as response:
            policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_person_grades_by_keys_and_sees_text_alone(
    browser: webdriver.Chrome, provider: Provider, run: Run
) -> None:
    provider.text = lambda body: HOSTILE
    found: list[Any] = []
    with GradingPage() as page:
        thread = threading.Thread(
            target=lambda: found.append(run(judge=page, prompts=make_prompts(1, prompt=[HOSTILE])))
        )
        thread.start()
        browser.get(page.address)
        wait = WebDriverWait(browser, 30)

        def await_state(text: str) -> None:
            wait.until(lambda b: b.find_element(By.ID, "state").text == text)

        await_state("Answer 1")
        assert browser.find_element(By.ID, "answer").text == HOSTILE
        assert browser.find_element(By.ID, "prompt").text == HOSTILE
        source = browser.page_source
        assert not any(model in source for model in ("nano", "grand", "other"))
        browser.find_element(By.TAG_NAME, "body").send_keys("x5")
        await_state("Answer 2")
        browser.find_element(By.CSS_SELECTOR, "button[data-key='2']").click()
        await_state("Answer 3")
        browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE, "s")
        thread.join(30)
    await_state("Done: this page can be closed.")
    assert browser.title == "Grade answers"
    assert [entry for entry in browser.get_log("browser") if "Content Security" in str(entry)] == []
    effects = found[0].dataset.outcomes["effect"]
    assert sorted(effects.dropna()) == [0.25, 1]
    assert effects.isna().sum() == 1
