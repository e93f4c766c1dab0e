"""`label-studio start --ml-backend-name NAME` without a project: every new project that it can serve gets it."""

import re
import time

import pytest

from tests.e2e.browsing import click, until
from tests.e2e.workplace import COLOUR_CONFIG

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TEXT_CONFIG = '<View><Text name="text" value="$text"/><TextArea name="answer" toName="text"/></View>'


def is_connected(workplace, project) -> bool:
    """Enabled, and shown as connected by upstream's own API."""
    rows = workplace.call('GET', f'/api/ml?project={project}', 200)
    connected = [row['title'] for row in rows if row['readable_state'] == 'Connected'] == ['demo']
    assert connected == workplace.state(project, 'demo')['enabled']
    return connected


def test_a_new_project_gets_it_with_its_label_config(workplace):
    assert is_connected(workplace, workplace.project('At once'))
    others = [row['name'] for row in workplace.call('GET', '/api/ml-plugins/', 200) if row['name'] != 'demo']
    project = workplace.project('Only this one')
    assert not any(workplace.state(project, name)['enabled'] for name in others)


def test_a_label_config_that_is_set_later_brings_it(workplace):
    project = workplace.call('POST', '/api/projects/', 201, {'title': 'Later'})['id']
    assert not is_connected(workplace, project)
    workplace.call('PATCH', f'/api/projects/{project}/', 200, {'title': 'Later, renamed'})
    assert not is_connected(workplace, project)
    changed = workplace.call('PATCH', f'/api/projects/{project}/', 200, {'label_config': COLOUR_CONFIG})
    assert is_connected(workplace, project)
    assert workplace.call('GET', f'/api/projects/{project}/', 200)['model_version'] == 'demo', changed


def test_a_project_that_it_cannot_serve_goes_without(workplace):
    project = workplace.project('Texts', TEXT_CONFIG)
    assert not is_connected(workplace, project)
    # A better label config brings it all the same …
    workplace.call('PATCH', f'/api/projects/{project}/', 200, {'label_config': COLOUR_CONFIG})
    assert is_connected(workplace, project)
    # … and once it is switched off it stays off.
    workplace.change(project, 'demo', enabled=False)
    workplace.call('PATCH', f'/api/projects/{project}/', 200, {'label_config': TEXT_CONFIG})
    workplace.call('PATCH', f'/api/projects/{project}/', 200, {'label_config': COLOUR_CONFIG})
    assert not is_connected(workplace, project)


def test_a_project_made_on_the_pages_gets_it(workplace, tmp_path):
    """The dialog makes a project without labels first and sets the label config when it is saved."""
    from selenium.webdriver.common.by import By

    page = workplace.browser
    page.get(f'{workplace.server.url}/projects/')
    click(page, 'button', 'Create')
    name = until(lambda: page.find_elements(By.CSS_SELECTOR, 'input[name=name]'))[0]
    name.clear()
    name.send_keys('From the pages')

    def templates():
        # The dialog may not listen yet.
        click(page, 'li, span', 'Labeling Setup')
        return [item for item in page.find_elements(By.TAG_NAME, 'h3') if 'Image Classification' in item.text]

    until(templates, every=1)
    click(page, 'h3', 'Image Classification')
    until(lambda: page.find_elements(By.XPATH, "//button[normalize-space()='Save']"))[0].click()
    found = until(lambda: re.search(r'/projects/(\d+)/data', page.current_url))
    workplace.picture('created', tmp_path)
    assert is_connected(workplace, int(found.group(1)))


def test_a_plugins_own_styles_and_scripts_work_on_the_page(workplace, tmp_path):
    project = workplace.project('Panel')
    panel = "const panel = document.querySelector('.mlp-demo-panel'); return panel && "
    style, script = f'{panel} getComputedStyle(panel).borderLeftColor', f'{panel} panel.dataset.script'
    assert 'Demo panel of project Panel.' in workplace.card(project, 'demo')
    page = workplace.browser
    assert until(lambda: page.execute_script(script)) == 'ran'
    assert page.execute_script(style) == 'rgb(12, 140, 70)'
    workplace.picture('panel', tmp_path)
    # Also when the card is replaced: off and on again.
    click(page, '[data-backend=demo] .ml-head .ml-switch.ml-on')
    until(lambda: page.execute_script("return !document.querySelector('.mlp-demo-panel')"))
    click(page, '[data-backend=demo] .ml-head .ml-switch:not(.ml-on)')
    assert until(lambda: page.execute_script(script)) == 'ran'


def test_a_button_works_while_the_shell_puts_its_copy_in_place(workplace):
    """React copies the page into the document more than once; on a busy machine people are quicker."""
    project = workplace.project('Quick click')
    workplace.card(project, 'demo')
    page = workplace.browser
    until(lambda: page.execute_script('return !!window.htmx'))
    time.sleep(2)
    page.execute_script(
        "const page = document.querySelector('.ml-page');"
        "page.querySelector('[data-backend=demo] .ml-primary').click();"
        'page.replaceWith(page.cloneNode(true));'
    )
    until(lambda: page.execute_script("return document.querySelectorAll('.ml-run').length"), 20)
