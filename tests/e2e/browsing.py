"""A headless Chromium, and what the end-to-end tests do with it."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import pytest

from tests.e2e.server import EMAIL, PASSWORD

SWITCHES = (
    'headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking '
    'disable-component-update disable-sync disable-dev-shm-usage'
)


@contextlib.contextmanager
def chromium(profile: Path):
    """A browser with a profile of its own; the test is skipped where there is none."""
    program, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if not program or not driver:
        pytest.skip('chromium and chromedriver are not installed (Debian packages chromium, chromium-driver)')
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in SWITCHES.split():
        options.add_argument(f'--{switch}')
    options.add_argument(f'--user-data-dir={profile}')
    options.add_argument('--window-size=1400,1000')
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_page_load_timeout(60)
    try:
        yield browser
    finally:
        browser.quit()


def until(check, seconds=60, every=0.3):
    """Wait until `check` gives something true, and return that."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f'still {found!r} after {seconds} s'
        time.sleep(every)


def click(page, selector: str, text: str = '') -> None:
    """Click the first element that matches, once the page has stopped replacing it."""
    from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
    from selenium.webdriver.common.by import By

    def clicked():
        try:
            for element in page.find_elements(By.CSS_SELECTOR, selector):
                if text in element.text:
                    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
                    element.click()
                    return True
        except (ElementClickInterceptedException, StaleElementReferenceException):
            return False
        return False

    until(clicked)


def sign_in(browser, server) -> None:
    """Log in through the login page."""
    from selenium.webdriver.common.by import By

    browser.get(f'{server.url}/user/login/')
    until(lambda: browser.find_elements(By.NAME, 'email'))
    browser.find_element(By.NAME, 'email').send_keys(EMAIL)
    browser.find_element(By.NAME, 'password').send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, '[type=submit]').click()
    until(lambda: '/user/login' not in browser.current_url)
