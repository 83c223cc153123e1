"""The page: bars are the amounts, words claim no more than the log tells, paper has one page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.pictures.picture_style import NARROW, WIDE
from graphrouter.bench.savings import (
    Savings,
    find_savings,
    read_period,
    render_savings_html,
    write_savings_pdf,
)
from graphrouter.bench.savings.policy_amounts import Amount
from graphrouter.bench.savings.savings_pictures import AS_IT_WAS, draw_savings
from graphrouter.bench.savings.savings_words import (
    describe_policy,
    give_headline,
    list_sure,
    list_unsure,
)

JARGON = ("effect", "doubly robust", "propensity", "bootstrap", "off-policy", "log loss", "SNIPS")


@pytest.fixture(scope="module")
def found(router: gr.GraphRouter, log: gr.RoutingDataset) -> Savings:
    period = read_period(router, log)
    return find_savings(router, period, baseline=router.models[-1])


def say(found: Savings, *, saved: Amount, change: Amount) -> Savings:
    """Savings whose only policy saves and changes so much."""
    policy = replace(found.policies[1], saved_usd=saved, effect_change=change)
    return replace(found, policies=(policy,))


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_bars_and_marks_are_the_amounts(found: Savings, size: object) -> None:
    cost, quality, traffic = (picture.figure(size).axes[0] for picture in draw_savings(found))
    rows = (found.baseline, *found.policies)
    names = [label.get_text().replace("\n", " ") for label in cost.get_yticklabels()]
    assert names == [*(each.name for each in rows), AS_IT_WAS]
    widths: dict[int, float] = {}
    for bar in cost.patches:
        place = round(bar.get_y() + bar.get_height() / 2)
        widths[place] = widths.get(place, 0.0) + bar.get_width()
    amounts = [*(each.cost_usd.value for each in rows), found.logged.paid_usd]
    assert [widths[place] for place in range(5)] == pytest.approx(amounts)
    marks = [line for line in quality.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in marks] == pytest.approx(
        [100 * each.effect.value for each in rows]
    )
    shares: dict[int, float] = {}
    for bar in traffic.patches:
        place = round(bar.get_y() + bar.get_height() / 2)
        shares[place] = shares.get(place, 0.0) + bar.get_width()
    assert list(shares.values()) == pytest.approx([1.0] * 4)


def test_predicted_parts_are_striped_and_hollow(found: Savings) -> None:
    base = found.baseline
    half = replace(base.cost_usd, value_from_log=base.cost_usd.value / 4, share_from_log=0.25)
    guess = replace(base.effect, share_from_log=0.25)
    mixed = replace(found, baseline=replace(base, cost_usd=half, effect=guess))
    cost, quality, _ = (picture.figure().axes[0] for picture in draw_savings(mixed))
    solid, striped = cost.patches[:2]
    assert solid.get_width() == pytest.approx(base.cost_usd.value / 4)
    assert striped.get_width() == pytest.approx(base.cost_usd.value * 3 / 4)
    assert not solid.get_hatch()
    assert striped.get_hatch()
    marks = [line for line in quality.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in marks][:2] == [True, False]


def test_a_page_has_three_pictures_and_no_jargon(found: Savings) -> None:
    page = render_savings_html(found, period="November", command="graphrouter savings x")
    assert page.count('<figure class="picture">') == 3
    assert len(page) < 300_000
    text = re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL)
    words = text.split("The ways to choose:")[0]  # the settings of policies are named below
    assert [word for word in JARGON if word in words] == []
    assert "November" in words
    assert give_headline(found).split("”")[0] in text


def test_the_page_is_for_names_that_are_hostile_too(found: Savings) -> None:
    name = "<img src=x onerror=alert(1)>"
    page = render_savings_html(replace(found, log=name), command=name)
    assert name not in page
    assert page.count("&lt;img") >= 2


def test_a_pdf_is_one_page_with_fonts(found: Savings, tmp_path: Path) -> None:
    file = tmp_path / "page.pdf"
    write_savings_pdf(found, file, period="November")
    content = file.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) == 1
    assert b"/TrueType" in content or b"/CIDFontType2" in content
    again = tmp_path / "again.pdf"
    write_savings_pdf(found, again, period="November")
    assert again.read_bytes() == content


SURE, LUCK = Amount(5.0, 2.0, 8.0, 1.0, 5.0), Amount(5.0, -2.0, 12.0, 1.0, 5.0)
GUESS = Amount(5.0, 2.0, 8.0, 0.2, 1.0)
BETTER, ALIKE = Amount(0.05, 0.01, 0.09, 1.0, 0.05), Amount(0.0, -0.015, 0.015, 1.0, 0.0)
WORSE = Amount(-0.05, -0.09, -0.01, 1.0, -0.05)


@pytest.mark.parametrize(
    ("saved", "change", "headline"),
    [
        (SURE, BETTER, r"^“Balanced” costs \d+% less .* its answers are better\.$"),
        (SURE, ALIKE, r"at worst 1\.5 points of 100 lower\.$"),
        (GUESS, BETTER, r"^By what is predicted, “Balanced”"),
        (SURE, WORSE, r"^Every way that costs less .* may answer worse"),
        (LUCK, BETTER, r"^No way tried here is sure to cost less"),
    ],
)
def test_the_headline_claims_no_more_than_is_known(
    found: Savings, saved: Amount, change: Amount, headline: str
) -> None:
    assert re.search(headline, give_headline(say(found, saved=saved, change=change)))


def test_only_what_the_log_tells_beyond_luck_is_sure(found: Savings) -> None:
    def sure(saved: Amount, change: Amount) -> str:
        return " ".join(list_sure(say(found, saved=saved, change=change)))

    assert "“Balanced” costs less" in sure(SURE, ALIKE)
    assert "“Balanced” answers better" in sure(LUCK, BETTER)
    assert "“Balanced” answers worse" in sure(LUCK, WORSE)
    for saved in (GUESS, LUCK):
        assert "Balanced" not in sure(saved, ALIKE)


def test_words_of_a_policy_say_which_is_predicted(found: Savings) -> None:
    told = describe_policy(say(found, saved=GUESS, change=WORSE).policies[0])
    assert "less, if predictions are right, between $2 and $8" in told
    assert "surely worse, between 1.0 and 9.0" in told
    told = describe_policy(say(found, saved=LUCK, change=ALIKE).policies[0])
    assert "between $2 more and $12 less" in told


def test_what_is_not_sure_names_every_prediction(found: Savings) -> None:
    guess = replace(found.policies[0], cost_usd=GUESS)
    lines = " ".join(list_unsure(replace(found, policies=(guess, *found.policies[1:]))))
    assert "the cost of “Quality first” (80% of the calls)" in lines
    assert "Grades are taken as given" in lines
    fewer = list_unsure(replace(found, num_judged=100))
    assert any("measured on 100 calls" in line for line in fewer)
