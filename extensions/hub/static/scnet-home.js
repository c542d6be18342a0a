// The home page: keeps the Dask clusters and batch jobs current while the page is visible. After Stop it says that the session is stopping,
// and shows the new state as soon as the hub has it.
(function () {
  "use strict";

  // Returns whether the reloaded page still offers to stop that server; `id` is the id of its button.
  async function stillThere(id) {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return true;
    const button = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
    return Boolean(button) && !button.classList.contains("hidden");
  }

  async function watch(id) {
    for (let tries = 0; tries < 60; tries += 1) {
      await new Promise((done) => setTimeout(done, 700));
      if (!(await stillThere(id).catch(() => true))) break;
    }
    location.reload();
  }

  function stopping(state) {
    if (!state) return;
    state.dataset.state = "stale";
    state.lastChild.textContent = "Stopping…";
  }

  const LIVE_MS = 10000; // pause between two looks while a cluster or job is live
  const CALM_MS = 60000;

  // Without the token of the forms, which may differ in each page.
  const facts = (part) => part.innerHTML.replace(/<input[^>]*name="_xsrf"[^>]*>/g, "");

  const title = (row) => row.querySelector("th").textContent;

  // Brings the clusters and batch jobs up to date, but not while the keyboard's focus is among them. Without an answer of the broker the
  // rows of the last look stay, greyed, below the hub's sentence.
  async function refresh() {
    const old = document.getElementById("others");
    if (!old || document.hidden || old.contains(document.activeElement)) return;
    const answer = await fetch(location.pathname, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return; // logged out: the page says so at the next click
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("others");
    if (!fresh || old.contains(document.activeElement)) return;
    document.adoptNode(fresh);
    window.scnetTimes?.apply(fresh);
    const problem = fresh.querySelector(".scnet-problem");
    if (problem && old.querySelector("table")) {
      old.querySelector(".scnet-problem")?.remove();
      old.prepend(problem);
      old.classList.add("scnet-old");
    } else if (facts(fresh) !== facts(old)) {
      const opened = [...old.querySelectorAll("tr")].filter((row) => row.querySelector("details[open]")).map(title);
      for (const row of fresh.querySelectorAll("tr")) {
        const log = row.querySelector("details");
        if (log && opened.includes(title(row))) log.open = true;
      }
      old.replaceWith(fresh);
    } else old.classList.remove("scnet-old");
  }

  async function keepCurrent() {
    await refresh().catch(() => {}); // the hub does not answer: the rows stay, and the next look may bring others
    setTimeout(keepCurrent, document.querySelector("#others[data-live]") ? LIVE_MS : CALM_MS);
  }
  setTimeout(keepCurrent, LIVE_MS);

  document.getElementById("stop")?.addEventListener("click", () => {
    stopping(document.querySelector(".scnet-default .scnet-state"));
    document.querySelector(".scnet-default .scnet-sub")?.remove();
    const start = document.getElementById("start");
    if (start) start.hidden = true;
    watch("stop");
  });

  // JupyterHub's script shows Start as soon as the stop is requested, and removes the name's link: here both wait for the new state.
  document.querySelectorAll(".stop-server").forEach((button) => {
    button.addEventListener("click", () => {
      const row = button.closest("tr");
      stopping(row.querySelector(".scnet-state"));
      // Hidden, not removed: JupyterHub's script goes up from the button to its row.
      row.querySelectorAll("td:last-child > *").forEach((one) => (one.style.visibility = "hidden"));
      const name = row.querySelector(".server-link");
      if (name) name.replaceWith(name.textContent);
      watch(button.id);
    });
  });
})();
