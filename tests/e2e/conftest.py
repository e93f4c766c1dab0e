"""A headless Chromium for the end-to-end tests."""

import shutil

import pytest


@pytest.fixture
def browser(tmp_path):
    program, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if not program or not driver:
        pytest.skip('chromium and chromedriver are not installed (Debian packages chromium, chromium-driver)')
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    switches = 'headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking '
    for switch in (switches + 'disable-component-update disable-sync disable-dev-shm-usage').split():
        options.add_argument(f'--{switch}')
    options.add_argument(f'--user-data-dir={tmp_path / "chromium"}')
    options.add_argument('--window-size=1400,1000')
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    chromium.set_page_load_timeout(60)
    yield chromium
    chromium.quit()
