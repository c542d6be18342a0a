// The page of a session that is starting: follows the hub's progress stream, keeps a log with times, and cancels.
// Events are {progress, message} as JupyterHub makes them; ours may add {at, centre, place_in_queue, reason, why, expected_start}.
(function () {
  "use strict";
  const root = document.getElementById("scnet-pending");
  if (!root) return;
  const slot = (name) => root.querySelector(`[data-slot="${name}"]`);
  const openedAt = Date.now();
  const seen = new Set(); // the stream repeats all events after every reconnection
  let since = openedAt;
  let over = false;

  const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  // Shows times within sentences in the person's zone, by scnet-times.js, which the page loads before this file.
  const said = (node, text) => window.scnetTimes.sentence(node, text);

  function span(ms) {
    const total = Math.max(0, Math.floor(ms / 1000));
    if (total < 60) return `${total} s`;
    if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
    return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
  }

  // A message may begin with its time of day in UTC, for JupyterHub's own page, which shows no times; here times have a column.
  const STAMP = /^(\d\d):(\d\d):(\d\d)\s\s+/;

  // JupyterHub puts its own frame around the reason of a failure; people want the reason.
  const FRAME = /^Spawn failed:?\s*(?:(?:HTTP )?\d{3}:?\s*(?:SpawnException)?\s*(?:\([^)]*\))?:?\s*)?/;

  function when(event) {
    const at = event.at ? new Date(event.at) : new Date();
    const stamp = STAMP.exec(event.message || "");
    if (!event.at && stamp) at.setUTCHours(Number(stamp[1]), Number(stamp[2]), Number(stamp[3]), 0);
    if (!event.at && at.getTime() - Date.now() > 60000) at.setUTCDate(at.getUTCDate() - 1); // it was before midnight
    return isNaN(at.getTime()) ? new Date() : at;
  }

  function words(event) {
    if (event.message) return String(event.message).replace(STAMP, "").replace(FRAME, "") || "The session did not start.";
    const holder = document.createElement("template");
    holder.innerHTML = event.html_message || ""; // inert: only its text is taken
    return holder.content.textContent.trim();
  }

  function log(message, at, bad) {
    const last = slot("log").lastElementChild;
    if (last && last.lastElementChild.textContent === message) {
      if (bad) last.className = "scnet-bad";
      return;
    }
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.dateTime = at.toISOString();
    time.textContent = clock(at);
    time.title = `${at.toISOString().slice(11, 19)} UTC`;
    const what = document.createElement("span");
    said(what, message);
    if (bad) line.className = "scnet-bad";
    line.append(time, what);
    slot("log").append(line);
  }

  function fact(name, value) {
    if (value === undefined || value === null) return;
    said(slot(name), String(value) || "–");
    const row = slot(`${name}-row`);
    if (row) row.hidden = !value;
  }

  function facts(event) {
    fact("centre", event.centre_name || event.centre);
    fact("place", event.place_in_queue === 0 ? "–" : event.place_in_queue);
    fact("expected", event.expected_start);
    fact("reason", event.reason);
    fact("why", event.why);
    if (event.created_at) since = Date.parse(event.created_at) || since;
  }

  function bar(progress) {
    if (progress === undefined) return;
    slot("bar").style.width = `${progress}%`;
    document.getElementById("progress-bar").setAttribute("aria-valuenow", String(progress));
  }

  // Shows the hub's own fragment, whose text the hub escaped: cause, who can fix it, the next step, the end of the job's log.
  function tell(html) {
    if (!html) return;
    slot("story").innerHTML = html;
    slot("story").hidden = false;
    slot("message").hidden = true;
    root.querySelector("dl.scnet-facts").hidden = true;
  }

  function ended(message) {
    over = true;
    stream.close();
    slot("bar").classList.add("bg-danger");
    slot("title").textContent = root.dataset.failedTitle;
    slot("message").textContent = message;
    ["place", "expected"].forEach((name) => fact(name, ""));
    fact("reason", "");
    slot("again").hidden = false;
    document.getElementById("stop-server-btn").hidden = true;
    slot("hint").textContent = "The credits held for this session are released.";
  }

  slot("log").replaceChildren(); // the stream begins with the first event
  document.getElementById("stop-server-btn").hidden = false;

  const stream = new EventSource(root.dataset.progressUrl);

  stream.onmessage = (raw) => {
    const event = JSON.parse(raw.data);
    const message = words(event);
    const at = when(event);
    const key = `${event.at || ""}|${event.message || message}`;
    bar(event.progress);
    facts(event);
    if (event.failed) {
      log(event.html_message ? message.split("\n")[0] : message, at, true); // the rest is shown below
      ended(message || "The session did not start.");
      return tell(event.html_message);
    }
    if (message && !event.ready) said(slot("message"), message);
    if (message && !seen.has(key)) log(event.ready ? "Ready: opening the notebook" : message, at);
    seen.add(key);
    if (event.ready) {
      over = true;
      stream.close();
      slot("message").textContent = "Ready: opening the notebook.";
      window.location.reload(); // the hub answers with a redirect to the running server
    }
  };

  stream.onerror = () => {
    if (over) return;
    slot("hint").textContent = "The connection to the hub was lost; reconnecting. The session is not affected.";
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => window.location.reload(), 5000);
  };
  stream.onopen = () => {
    slot("hint").textContent = "You may close this page: the session keeps its place, and the hub opens it when you come back.";
  };

  document.getElementById("stop-server-btn").addEventListener("click", async (click) => {
    const button = /** @type {HTMLButtonElement} */ (click.currentTarget);
    button.disabled = true;
    slot("hint").textContent = "Cancelling: the centre has been asked to end the job.";
    try {
      const answer = await fetch(root.dataset.stopUrl, { method: "DELETE", credentials: "same-origin" });
      if (!answer.ok) throw new Error(((await answer.json().catch(() => ({}))).message) || `the hub answered ${answer.status}`);
      over = true;
      stream.close();
      window.location.assign(root.dataset.homeUrl);
    } catch (error) {
      button.disabled = false;
      slot("hint").textContent = `Not cancelled: ${error.message}. Try again in a moment.`;
    }
  });

  setInterval(() => over || (slot("waited").textContent = span(Date.now() - since)), 1000);
  window._jupyterhub_page_loaded = true;
})();
