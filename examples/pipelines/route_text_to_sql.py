"""Route questions to text-to-SQL pipelines: the cheapest of three that gets the answer right.

A SQLite database, questions about it, and three pipelines that write real SQL are made here. Each
statement is run, and graded by whether its rows are those of the right one. Tokens are those of
what a pipeline would send to and get from a language model: schema, question, steps and SQL.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

import graphrouter as gr

USD_PER_MTOK = (1.0, 4.0)
"""Of prompt and of completion, for all pipelines alike: what differs is how much they write."""
CITIES = ("Oslo", "Lyon", "Porto", "Ghent", "Turin")
GENRES = ("crime", "poetry", "travel", "history")
NAMES = ("Ada", "Bo", "Cleo", "Dag", "Eva", "Finn", "Gil", "Hana", "Ines", "Jon", "Kai", "Lena")
SCHEMA = """CREATE TABLE customers (id INTEGER, name TEXT, city TEXT, age INTEGER);
CREATE TABLE books (id INTEGER, title TEXT, genre TEXT, price INTEGER);
CREATE TABLE orders (id INTEGER, customer_id INTEGER, book_id INTEGER, copies INTEGER);"""


class Question(NamedTuple):
    """A question, and the SQL whose rows are right."""

    text: str
    sql: str
    kind: str
    """simple, limited, joined or nested; nobody tells the router."""


class Written(NamedTuple):
    """What a pipeline wrote, and what that took."""

    sql: str
    input_tokens: int
    output_tokens: int


def make_database(seed: int) -> sqlite3.Connection:
    """A bookshop in memory."""
    rng, shop = np.random.default_rng(seed), sqlite3.connect(":memory:")
    shop.executescript(SCHEMA)
    people = [
        (i, f"{NAMES[i % 12]} {i // 12}", str(rng.choice(CITIES)), int(rng.integers(18, 80)))
        for i in range(60)
    ]
    books = [(i, f"Book {i}", str(rng.choice(GENRES)), int(rng.integers(5, 60))) for i in range(40)]
    orders = [
        (i, int(rng.integers(60)), int(rng.integers(40)), int(rng.integers(1, 5)))
        for i in range(400)
    ]
    shop.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", people)
    shop.executemany("INSERT INTO books VALUES (?, ?, ?, ?)", books)
    shop.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)
    return shop


_JOINED = "orders o JOIN customers c ON c.id = o.customer_id JOIN books b ON b.id = o.book_id"
_BY_CUSTOMER = f"SELECT c.name, SUM(o.copies) AS n FROM {_JOINED}"


OPENERS = (
    "",
    "",
    "",
    "Please: ",
    "Hello, a quick one. ",
    "Never mind the details. ",
    "For a report: ",
)
FORMS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("How many customers live in {city}?", "Count the customers in {city}."),
     "SELECT COUNT(*) FROM customers WHERE city = '{city}'", "simple"),
    (("How many books cost more than {price}?", "Count the books above {price} euros."),
     "SELECT COUNT(*) FROM books WHERE price > {price}", "simple"),
    (("List the titles of {genre} books.", "Which {genre} books are there?"),
     "SELECT title FROM books WHERE genre = '{genre}'", "simple"),
    (("List the names of customers older than {age}.", "Which customers are over {age}?"),
     "SELECT name FROM customers WHERE age > {age}", "simple"),
    (("How many books cost at most {price}?", "Count the books for at most {price} euros."),
     "SELECT COUNT(*) FROM books WHERE price <= {price}", "limited"),
    (("Which customers are at most {age} years old?",
      "List the names of customers of at most {age} years."),
     "SELECT name FROM customers WHERE age <= {age}", "limited"),
    (("Which customers in {city} are over {age}?",
      "List the names of customers in {city} older than {age}."),
     "SELECT name FROM customers WHERE city = '{city}' AND age > {age}", "limited"),
    (("Which {genre} books cost more than {price}?", "List {genre} titles above {price} euros."),
     "SELECT title FROM books WHERE genre = '{genre}' AND price > {price}", "limited"),
    (("Which customers ordered {genre} books?", "List the names of buyers of {genre} books."),
     f"SELECT DISTINCT c.name FROM {_JOINED} WHERE b.genre = '{{genre}}'", "joined"),
    (("How many copies were ordered from {city}?", "Count the copies sold to {city}."),
     f"SELECT SUM(o.copies) FROM {_JOINED} WHERE c.city = '{{city}}'", "joined"),
    (("List the titles of {genre} books ordered from {city}.",
      "Which {genre} books were sold to {city}?"),
     f"SELECT DISTINCT b.title FROM {_JOINED} WHERE c.city = '{{city}}' AND b.genre = '{{genre}}'",
     "joined"),
    (("How many copies of {genre} books above {price} euros were ordered?",
      "Count the {genre} copies sold of books over {price}."),
     f"SELECT SUM(o.copies) FROM {_JOINED} WHERE b.genre = '{{genre}}' AND b.price > {{price}}",
     "joined"),
    (("Who in {city} ordered more copies than the average customer?",
      "Which buyers from {city} are above the average in copies?"),
     f"SELECT name FROM ({_BY_CUSTOMER} WHERE c.city = '{{city}}' GROUP BY c.id) WHERE n > "
     f"(SELECT AVG(n) FROM ({_BY_CUSTOMER} GROUP BY c.id))", "nested"),
    (("Which genre sold the most copies in {city}?", "What is the best selling genre of {city}?"),
     f"SELECT b.genre FROM {_JOINED} WHERE c.city = '{{city}}' GROUP BY b.genre "
     "ORDER BY SUM(o.copies) DESC, b.genre LIMIT 1", "nested"),
    (("Which {genre} books were never ordered?", "List {genre} titles that nobody bought."),
     "SELECT title FROM books WHERE genre = '{genre}' AND id NOT IN (SELECT book_id FROM orders)",
     "nested"),
    (("Which {genre} books cost more than the average of their genre?",
      "List {genre} titles dearer than the average {genre} book."),
     "SELECT title FROM books WHERE genre = '{genre}' AND price > "
     "(SELECT AVG(price) FROM books WHERE genre = '{genre}')", "nested"),
)  # fmt: skip
"""Wordings, the right SQL and the kind; four forms of each kind."""


def draw_question(rng: np.random.Generator) -> Question:
    """A question of one of the forms, worded in one of several ways, perhaps with an opener."""
    known = {
        "city": str(rng.choice(CITIES)),
        "genre": str(rng.choice(GENRES)),
        "age": int(rng.integers(25, 70)),
        "price": int(rng.integers(10, 50)),
    }
    # As in a shop's own log, most of what is asked is simple.
    place = int(rng.choice(len(FORMS), p=np.repeat([0.09, 0.06, 0.06, 0.04], 4)))
    wordings, sql, kind = FORMS[place]
    text = str(rng.choice(OPENERS)) + str(rng.choice(wordings)).format(**known)
    return Question(text, sql.format(**known), kind)


def write_basic(question: str) -> Written:
    """One table, one condition, by keywords."""
    table, wanted, where = read_slots(question)
    first = where[0].replace("<=", ">") if where else "1"
    sql = f"SELECT {wanted} FROM {table} WHERE {first}"
    return Written(sql, count_tokens(question) + 40, count_tokens(sql))


def write_joined(question: str) -> Written:
    """Slots over all three tables: what is wanted, of whom, under which conditions."""
    table, wanted, where = read_slots(question)
    if re.search(r"order|sold|bought|copies|buyer", question.lower()):
        named = {"name": "DISTINCT c.name", "title": "DISTINCT b.title"}
        counted = "SUM(o.copies)" if "copies" in question else "COUNT(*)"
        wanted, table, where = named.get(wanted, counted), _JOINED, name_tables(where)
    sql = f"SELECT {wanted} FROM {table} WHERE {' AND '.join(where) or '1'}"
    shown = count_tokens(SCHEMA) + count_tokens(question) + 120  # two solved examples
    return Written(sql, shown, count_tokens(sql) + 30)  # and the slots that it names first


def write_stepwise(question: str) -> Written:
    """Decomposition: a draft of joins, then aggregates, comparisons and what is not there.

    It takes "most" and "never" for parts of what is asked wherever they stand.
    """
    draft, low = write_joined(question), question.lower()
    _, _, where = read_slots(question)
    plain, in_join = " AND ".join(where) or "1", " AND ".join(name_tables(where)) or "1"
    sql = draft.sql
    if re.search(r"never|nobody", low):
        sql = f"SELECT title FROM books WHERE {plain} AND id NOT IN (SELECT book_id FROM orders)"
    elif "average" in low and re.search(r"order|buyer", low):
        sql = (
            f"SELECT name FROM ({_BY_CUSTOMER} WHERE {in_join} GROUP BY c.id) WHERE n > "
            f"(SELECT AVG(n) FROM ({_BY_CUSTOMER} GROUP BY c.id))"
        )
    elif "average" in low:
        sql = (
            f"SELECT title FROM books WHERE {plain} AND price > "
            f"(SELECT AVG(price) FROM books WHERE {plain})"
        )
    elif re.search(r"most|best selling", low):
        sql = (
            f"SELECT b.genre FROM {_JOINED} WHERE {in_join} GROUP BY b.genre "
            "ORDER BY SUM(o.copies) DESC, b.genre LIMIT 1"
        )
    # A plan, one statement a step, and a check of each: every step reads the schema again.
    steps = 2 + len(re.findall(r"SELECT", sql))
    shown = steps * (count_tokens(SCHEMA) + count_tokens(question) + 150)
    return Written(sql, shown, draft.output_tokens + count_tokens(sql) + 90 * steps)


def name_tables(where: list[str]) -> list[str]:
    """Conditions with the names that tables have in a join."""
    of_customers = [re.sub(r"^(city|age)", r"c.\1", each) for each in where]
    return [re.sub(r"^(genre|price)", r"b.\1", each) for each in of_customers]


PIPELINES: dict[str, Callable[[str], Written]] = {
    "basic": write_basic,
    "joined": write_joined,
    "stepwise": write_stepwise,
}


def read_slots(question: str) -> tuple[str, str, list[str]]:
    """Table, column and conditions that the words of a question name."""
    low = question.lower()
    table = "books" if re.search(r"book|title|copies|genre", low) else "customers"
    wanted = "title" if table == "books" else "name"
    if re.search(r"customers|buyers|^who", low) and table == "books":
        wanted = "name"
    if re.search(r"how many|count", low):
        wanted = "COUNT(*)"
    where = [f"city = '{city}'" for city in CITIES if city.lower() in low]
    where += [f"genre = '{genre}'" for genre in GENRES if genre in low]
    number = re.search(r"\d+", low)
    if number:
        column = "price" if table == "books" else "age"
        where.append(f"{column} {'<=' if 'at most' in low else '>'} {number.group()}")
    return table, wanted, where


def count_tokens(text: str) -> int:
    """Words and marks, about what a tokenizer makes of SQL and English."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def is_right(shop: sqlite3.Connection, sql: str, question: Question) -> bool:
    """Whether both statements bring the same rows, in whatever order."""
    try:
        found = sorted(shop.execute(sql).fetchall(), key=repr)
    except sqlite3.Error:
        return False
    return found == sorted(shop.execute(question.sql).fetchall(), key=repr)


def make_dataset(seed: int, num_questions: int = 600) -> tuple[gr.RoutingDataset, list[str]]:
    """Questions that each pipeline has answered, and the kind of each question."""
    rng, shop = np.random.default_rng(seed), make_database(seed)
    drawn = {each.text: each for each in (draw_question(rng) for _ in range(num_questions))}
    questions, rows = list(drawn.values()), []
    for number, question in enumerate(questions):
        for name, write in PIPELINES.items():
            written = write(question.text)
            effect = float(is_right(shop, written.sql, question))
            rows.append(
                (
                    f"q{number}",
                    name,
                    effect,
                    written.input_tokens,
                    written.output_tokens,
                    written.sql,
                )
            )
    data = gr.RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {
                "query_id": [f"q{number}" for number in range(len(questions))],
                "task": None,
                "prompt": [question.text for question in questions],
            }
        ),
        models=pd.DataFrame(
            {
                "model": list(PIPELINES),
                "kind": "pipeline",
                "description": [write.__doc__ for write in PIPELINES.values()],
                "input_usd_per_mtok": USD_PER_MTOK[0],
                "output_usd_per_mtok": USD_PER_MTOK[1],
            }
        ),
        outcomes=pd.DataFrame(
            rows, columns=["query_id", "model", "effect", "input_tokens", "output_tokens", "answer"]
        ),
        name="text_to_sql",
    )
    return data, [question.kind for question in questions]


def main() -> None:
    """Route held-out questions, and compare with each pipeline."""
    data, _ = make_dataset(seed=0, num_questions=500)
    router = gr.GraphRouter.fit(data, instant=True)
    test = list(router.provenance.split.test)
    prompts = data.select_queries(test).queries["prompt"].tolist()
    effect = data.outcome_matrix("effect", test)
    cost = data.outcome_matrix("cost_usd", test)
    for place, name in enumerate(data.pool.names):
        print(f"{name:22} right {effect[:, place].mean():.3f}   USD {cost[:, place].mean():.6f}")
    for usd in (0.1, 0.02, 0.005):
        policy = gr.Policy(usd_per_effect=usd)
        chosen = [router.pool.position(router.route(p, policy=policy).model) for p in prompts]
        rows = np.arange(len(chosen))
        right, paid = effect[rows, chosen].mean(), cost[rows, chosen].mean()
        print(f"routed, {usd:5} USD/right  right {right:.3f}   USD {paid:.6f}")


if __name__ == "__main__":
    main()
