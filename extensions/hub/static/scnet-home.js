// The home page after Stop: says that the session is stopping, and shows the new state as soon as the hub has it.
(function () {
  "use strict";
  const stop = document.getElementById("stop");
  const state = document.querySelector(".scnet-default .scnet-state");
  if (!stop || !state) return;

  async function stillThere() {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    return !answer.ok || (await answer.text()).includes('id="stop"');
  }

  stop.addEventListener("click", async () => {
    state.dataset.state = "stale";
    state.lastChild.textContent = "Stopping…";
    document.querySelector(".scnet-default .scnet-sub")?.remove();
    const start = document.getElementById("start");
    if (start) start.hidden = true;
    for (let tries = 0; tries < 60; tries += 1) {
      await new Promise((done) => setTimeout(done, 700));
      if (!(await stillThere().catch(() => true))) break;
    }
    location.reload();
  });
})();
