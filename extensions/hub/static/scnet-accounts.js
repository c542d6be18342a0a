// The accounts page's script: copies the command, counts down its time, and shows that a check is under way.
// Every form also works without this script.
(function () {
  "use strict";
  const root = document.querySelector(".scnet-accounts");
  if (!root) return;
  const live = root.querySelector("[data-live]");
  const opened = performance.now();

  async function copy(node) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range); // selected for the person's own Ctrl-C, if the browser forbids the copy
    try {
      await navigator.clipboard.writeText(node.textContent);
      return true;
    } catch {
      return document.execCommand("copy"); // browsers give no clipboard without https
    }
  }

  root.querySelectorAll("[data-copy]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const copied = await copy(document.getElementById(button.dataset.copy));
      button.textContent = copied ? "Copied" : "Press Ctrl-C";
      live.textContent = copied ? "The command is copied." : "The command is selected: press Ctrl-C.";
      setTimeout(() => (button.textContent = "Copy"), 4000);
    });
  });

  function count(proof) {
    const left = Number(proof.dataset.leftS) - (performance.now() - opened) / 1000;
    const words = left > 0 ? `${Math.ceil(left / 60)} min left` : "expired: get a new command";
    const slot = proof.querySelector("[data-left]");
    if (slot.textContent === words) return;
    slot.textContent = words;
    if (left <= 0) live.textContent = "The command has expired: get a new command.";
  }

  const proofs = [...root.querySelectorAll("[data-proof]")];
  if (proofs.length) setInterval(() => proofs.forEach(count), 1000);

  root.querySelectorAll("form").forEach((form) => {
    const button = form.querySelector("[type=submit]");
    const words = button.textContent;
    form.addEventListener("submit", (event) => {
      if (button.getAttribute("aria-busy")) return event.preventDefault();
      button.setAttribute("aria-busy", "true");
      if (button.dataset.busy) live.textContent = button.textContent = button.dataset.busy;
    });
    window.addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      button.removeAttribute("aria-busy"); // back from another page: the button works again
      button.textContent = words;
    });
  });
})();
