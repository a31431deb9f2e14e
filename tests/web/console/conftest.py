"""The browser of the tests that look at pages."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from console_browsing import CHROMIUM


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser."""
    assert CHROMIUM is not None, "CI has no chromium"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
