"""What axe-core says against a page, by the rules of WCAG 2.2 and its own best practices."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """Each violated rule with the first node that violates it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['target']}" for one in found]
