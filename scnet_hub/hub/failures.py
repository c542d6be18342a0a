"""A start that failed, as a person should read it: what happened, who can mend it, the next step, the end of the job's log.

One error becomes one sentence for logs and clients and one fragment of HTML for the hub's pages; nothing is asked here.
"""

from __future__ import annotations

from html import escape

from jupyterhub.spawner import SpawnException

from ..display.endings import TAIL
from ..errors import ScnetError

NEXT = "Try once more: the start page shows which centre can take it now. What was held for this session goes back to the project."


def refused(error: ScnetError) -> SpawnException:
    """A broker's "no", counted by its code, without a stack trace."""
    words = f"{error} {error.hint}".strip()
    status = error.status if 400 <= error.status < 600 and error.status != 401 else 503
    refusal = SpawnException(words, reason=error.code, status_code=status)
    refusal.jupyterhub_message = words
    refusal.jupyterhub_html_message = story(error)
    return refusal


def story(error: ScnetError) -> str:
    """The same as HTML; every word of a person or a centre is escaped."""
    cause, _, tail = str(error).partition(TAIL)
    parts = [
        f'<p class="scnet-lead">{escape(cause)}</p>',
        '<dl class="scnet-facts">',
        f'<div class="scnet-wide"><dt>Who can mend it</dt><dd>{escape(error.acts)}</dd></div>',
        f'<div class="scnet-wide"><dt>Next step</dt><dd>{escape(error.hint or NEXT)}</dd></div>',
        "</dl>",
        f'<h2 class="scnet-h2">The end of the job\'s log</h2><pre class="scnet-tail">{escape(tail)}</pre>' if tail else "",
    ]
    return "".join(parts)
