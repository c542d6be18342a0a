"""Describes a start that failed, for people: what happened, who can fix it, the next step, the end of the job's log.

An error becomes a sentence for logs and clients, and a fragment of HTML for the hub's pages. Calls no one.
"""

from __future__ import annotations

from html import escape

from jupyterhub.spawner import SpawnException

from ..display.endings import TAIL
from ..errors import ScnetError

NEXT = (
    "Try again: the start page shows which centre can take the session now. The credits held for this session are "
    "released."
)


def refused(error: ScnetError) -> SpawnException:
    """Turns a broker's refusal into an exception that is counted by its code and logged without a stack trace."""
    words = f"{error} {error.hint}".strip()
    status = error.status if 400 <= error.status < 600 and error.status != 401 else 503
    refusal = SpawnException(words, reason=error.code, status_code=status)
    refusal.jupyterhub_message = words
    refusal.jupyterhub_html_message = story(error)
    return refusal


def story(error: ScnetError) -> str:
    """Returns the error as HTML; all text from people and centres is escaped."""
    cause, _, tail = str(error).partition(TAIL)
    parts = [
        f'<p class="scnet-lead">{escape(cause)}</p>',
        '<dl class="scnet-facts">',
        f'<div class="scnet-wide"><dt>Who can fix it</dt><dd>{escape(error.acts)}</dd></div>',
        f'<div class="scnet-wide"><dt>Next step</dt><dd>{escape(error.hint or NEXT)}</dd></div>',
        "</dl>",
        f'<h2 class="scnet-h2">The end of the job\'s log</h2><pre class="scnet-tail">{escape(tail)}</pre>'
        if tail
        else "",
    ]
    return "".join(parts)
