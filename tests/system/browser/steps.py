"""The steps of a person in Chromium, shared by the tests that go through the main job by hand."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect


def log_in(page: Page, url: str, person: str, password: str) -> None:
    if not page.url.startswith(url):
        page.goto(url)
    page.get_by_label("Username").fill(person)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    expect(page.get_by_text("Best place for you")).to_be_visible()


def press_start(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^(Start|Queue)")).click()
    expect(page.get_by_text("Submitted to").first).to_be_visible()


def until_lab_is_there(page: Page, person: str) -> None:
    page.wait_for_url(f"**/user/{person}/lab**")
    page.get_by_text("scnet-notebooks").first.wait_for()
    page.locator(".jp-Launcher, .jp-NotebookPanel").first.wait_for()  # a home that is known opens what was open
    page.locator("#jupyterlab-splash").wait_for(state="detached")


def run_notebook(page: Page, url: str, person: str, name: str) -> Locator:
    """Runs all cells of a tutorial notebook; its panel, once it shows facts."""
    page.goto(f"{url}/user/{person}/lab/tree/scnet-notebooks/{name}.ipynb")
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(page.locator(".jp-InputPrompt").get_by_text("[3]:")).to_be_attached(timeout=60_000)
    panel = page.locator(".jp-OutputArea").get_by_text("as of").first
    panel.wait_for()
    panel.scroll_into_view_if_needed()
    return panel


def no_cell_failed(page: Page) -> bool:
    return not page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count()


def press_stop(page: Page, url: str) -> None:
    page.goto(f"{url}/hub/home")
    name = re.compile("stop", re.IGNORECASE)
    page.get_by_role("button", name=name).or_(page.get_by_role("link", name=name)).first.click()
