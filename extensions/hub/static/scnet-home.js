// The home page after Stop: says that the session is stopping, and shows the new state as soon as the hub has it.
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
