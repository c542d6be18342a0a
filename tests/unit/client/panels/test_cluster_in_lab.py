"""A Dask cluster's view in a real JupyterLab: what is typed and pressed there acts, and a refusal is a sentence."""

from __future__ import annotations

import contextlib
import json

import pytest
from playwright.sync_api import expect

from tests.builders.chromium import chromium_page
from tests.builders.fakes.broker import FakeBroker
from tests.system.session.labs import ROOT, Lab

from .test_saved import CELL, NOTEBOOK, opened

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MADE = "import scnet_hub as scnet\ncluster = scnet.dask(cores=2, job_cores=1, name='ocean', tick=(0.5, 1))\ncluster"


def test_a_cluster_is_scaled_adapted_and_stopped_in_jupyterlab() -> None:
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(FakeBroker())
        broker.hold = True
        lab = stack.enter_context(Lab(broker, SCNET_IDLE_TIMEOUT="7200", PYTHONPATH=str(ROOT)))
        page = stack.enter_context(chromium_page())
        page.set_default_timeout(180_000)  # a kernel that imports all of this on a busy machine
        (lab.home / "n.ipynb").write_text(json.dumps(NOTEBOOK | {"cells": [CELL | {"source": MADE}]}))
        opened(page, lab)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        jobs = page.get_by_role("spinbutton", name="Jobs")
        jobs.fill("1000000")
        jobs.press("Enter")
        expect(page.locator(".scnet-problem")).to_contain_text(
            "1,000,000 jobs are too many: a cluster has at most 1,000."
        )
        jobs.fill("4")
        jobs.press("Enter")
        expect(page.locator(".scnet-summary")).to_contain_text("0 of 4 jobs working")
        expect(page.locator(".scnet-problem")).to_be_hidden()
        page.get_by_role("spinbutton", name="to", exact=True).fill("6")
        page.get_by_role("button", name="Adapt cluster ocean").click()
        page.get_by_text("Adaptive: from 0 to 6 jobs, as the work needs.").wait_for()
        page.get_by_role("button", name="Stop cluster ocean", exact=True).click()
        page.get_by_role("button", name="Yes, stop cluster ocean").click()
        expect(page.locator(".scnet-summary")).to_contain_text("Cluster closed")
        expect(page.get_by_role("button", name="Scale cluster ocean")).to_be_disabled()
        broker.wait(lambda: len(broker.sessions) == 4 and not broker.live())
