"""Tests that a failed start says what happened, who can fix it, the next step, and the end of the job's log, and that
no text in it is markup."""

from __future__ import annotations

import pytest

from scnet_hub.errors import KINDS, NoPlacement, ScnetError, SpecError, Unreachable
from scnet_hub.hub.failures import TAIL, refused, story


@pytest.mark.parametrize(
    ("error", "who"),
    [
        (NoPlacement("No centre can take this."), "You"),
        (Unreachable("Alpha can't be reached."), "The centre's admins"),
        (SpecError("alpha.toml is wrong."), "The federation's operators"),
    ],
)
def test_who_must_act_follows_from_the_kind_of_error(error: ScnetError, who: str) -> None:
    assert f"<dd>{who}" in story(error).replace("&#x27;", "'") and error.problem()["acts"].startswith(who)


def test_every_kind_of_error_says_who_must_act() -> None:
    assert all(kind.acts for kind in KINDS.values())


def test_the_end_of_the_jobs_log_stands_apart_from_the_reason() -> None:
    found = story(ScnetError(f"The job failed (exit code 1).{TAIL}ModuleNotFoundError: jupyterlab"))
    assert '<p class="scnet-lead">The job failed (exit code 1).</p>' in found
    assert '<pre class="scnet-tail">ModuleNotFoundError: jupyterlab</pre>' in found
    assert "<pre" not in story(ScnetError("The job failed."))


def test_what_a_job_wrote_is_text_on_the_page() -> None:
    found = story(ScnetError(f"<b>bad</b>{TAIL}<script>alert(1)</script>", hint="<i>x</i>"))
    assert "<script" not in found and "<b>" not in found and "<i>" not in found


def test_a_refusal_keeps_its_words_for_clients_and_its_code_for_counting() -> None:
    refusal = refused(NoPlacement("No centre can take this.", hint="Ask for less."))
    assert refusal.jupyterhub_message == "No centre can take this. Ask for less." and refusal.status_code == 409
    assert "Ask for less." in refusal.jupyterhub_html_message
