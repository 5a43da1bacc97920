"""The table of a search's options is made of their declarations, and each leads somewhere."""

from __future__ import annotations

import inspect

from dateline.commands.search import search
from scripts.search_options import PAGE, page
from search.answers import FACTS, OPTIONS
from tests.api.conftest import app_over, filled

DECLARED = (*FACTS, *OPTIONS)


def test_the_table_is_that_of_the_declarations() -> None:
    """`python -P scripts/search_options.py` writes it."""
    assert PAGE.read_text("utf-8") == page()


def test_an_option_is_a_parameter_and_an_option_of_the_shell() -> None:
    contract = app_over(filled()).openapi()["paths"]["/content/search"]["get"]["parameters"]
    assert {one.name for one in DECLARED} <= {parameter["name"] for parameter in contract}
    shell = {one.name for one in DECLARED if one.option.in_shell}
    assert shell <= {*inspect.signature(search).parameters}
    assert all(one.option.brief for one in DECLARED if one.option.in_shell)


def test_what_an_option_links_to_is_there() -> None:
    for one in DECLARED:
        name, _, anchor = one.option.page.partition("#")
        if name:
            text = (PAGE.parent / name).read_text("utf-8")
            headings = {
                line.lstrip("# ").casefold().replace(" ", "-").replace("?", "").replace(",", "")
                for line in text.splitlines()
                if line.startswith("#")
            }
            assert not anchor or anchor in headings, (one.name, one.option.page)
