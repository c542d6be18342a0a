// Refreshes the start page. The hub makes every sentence (`view`); this file only puts the sentences into their cells, sends
// the form's current values, and never changes a field that a person types into, checks or selects.
(function () {
  "use strict";
  const root = document.querySelector("[data-scnet-form]");
  if (!root) return;
  const form = root.closest("form");
  const slot = (name) => root.querySelector(`[data-slot="${name}"]`);
  const every = Math.max(1, Number(root.dataset.every) || 5) * 1000;
  const LIVE_EVERY = 10000; // ms between two lines read out by a screen reader
  const OLD_AFTER = 30000; // ms without an answer of the hub until every row is greyed
  const OWN_FIELDS = [...root.querySelectorAll(".scnet-own [name]")].map((node) => node.getAttribute("name") ?? "");

  let view = JSON.parse(slot("view").textContent);
  let bare = Boolean(view.problem) && root.querySelectorAll('[name="profile"]').length === 1; // opened in an outage: no profiles
  let answeredAt = performance.now();
  let question = 0; // answers to older questions are dropped
  let failures = 0;
  let timer = 0;
  let sending = false;
  const spoken = { text: view.summary, at: -LIVE_EVERY };

  const text = (node, words) => {
    if (node && node.textContent !== words) node.textContent = words;
  };
  // Shows times within the broker's sentences in the person's zone (scnet-times.js).
  const sentence = (node, words) => (window.scnetTimes ? window.scnetTimes.sentence(node, words) : text(node, words));
  /** @returns {HTMLInputElement | null} */
  const checked = (name) => (form || root).querySelector(`input[name="${name}"]:checked`);
  /** @returns {any} an input or a select */
  const field = (name) => root.querySelector(`[name="${name}"]`);
  const pin = () => checked("centre")?.value ?? "";

  // ---- the request

  function request() {
    const profile = checked("profile");
    const own = !profile || profile.value === "own" || profile.dataset.cores === undefined;
    const value = (name) => (own ? field(name).value : profile.dataset[name] || "").trim();
    const query = new URLSearchParams({ kind: "lab", project: field("project").value });
    OWN_FIELDS.forEach((name) => value(name) && query.set(name, value(name)));
    return query; // never the pin: every centre is compared, and choosing a centre sends no request
  }

  // The fields of the own size start from the card chosen before, so "a bit more than this" is one step; typed values stay.
  function seedOwnFields(profile) {
    if (!profile || profile.dataset.cores === undefined) return;
    OWN_FIELDS.forEach((name) => {
      const input = field(name);
      if (!input.dataset.typed) input.value = profile.dataset[name] || (name === "gpus" ? "0" : "");
    });
  }

  // ---- showing

  function age(seconds) {
    if (seconds === null || seconds === undefined) return "never";
    const total = Math.floor(seconds);
    if (total < 1) return "now";
    if (total < 60) return `${total} s ago`;
    const minutes = Math.round(total / 60);
    if (total < 3600) return `${minutes} min ago`;
    if (total >= 2 * 86400) return `${Math.round(total / 86400)} d ago`;
    return `${Math.floor(minutes / 60)} h ${minutes % 60 ? `${minutes % 60} min ` : ""}ago`;
  }

  const rows = () => /** @type {HTMLElement[]} */ ([...slot("rows").children]);

  function rowOf(id) {
    let row = rows().find((tr) => tr.dataset.centre === id);
    if (!row) {
      const template = /** @type {HTMLTemplateElement} */ (slot("row"));
      row = /** @type {HTMLElement} */ (template.content.firstElementChild.cloneNode(true));
      row.dataset.centre = row.querySelector("input").value = id;
      row.querySelector('[data-cell="link"]').setAttribute("href", `${root.dataset.accountsUrl}#centre-${id}`);
      slot("rows").append(row);
    }
    return row;
  }

  function showRow(facts) {
    const row = rowOf(facts.id);
    row.querySelectorAll("[data-cell]").forEach((cell) => {
      if (cell.dataset.cell !== "age") sentence(cell, String(facts[cell.dataset.cell]));
    });
    row.querySelector('[data-cell="link"]').hidden = !facts.link;
    row.dataset.state = facts.state;
    row.dataset.fit = facts.fit;
    row.toggleAttribute("data-stale", facts.stale);
    row.toggleAttribute("data-best", facts.best);
    row.querySelector("[data-used]").style.width = `${(facts.used * 100).toFixed(1)}%`;
  }

  function showAges() {
    const passed = (performance.now() - answeredAt) / 1000;
    view.rows.forEach((facts) => {
      const known = facts.age_s !== null && facts.age_s !== undefined;
      text(rowOf(facts.id).querySelector('[data-cell="age"]'), age(known ? facts.age_s + passed : null));
    });
    root.toggleAttribute("data-old", passed * 1000 > Math.max(OLD_AFTER, 3 * every));
  }

  function showProject() {
    const select = field("project");
    view.projects.forEach((project) => {
      const option = [...select.options].find((o) => o.value === project.id);
      if (option && document.activeElement !== select) text(option, project.label);
      if (!option) addProject(select, project);
      if (project.id === select.value) text(slot("balance"), project.line);
    });
  }

  function addProject(select, project) {
    if (select.disabled) select.replaceChildren();
    select.disabled = false;
    select.append(new Option(project.label, project.id));
  }

  function showChoice() {
    const gone = { title: pin(), button: "Start", cost: "", blocked: "This centre is no longer listed: choose another place." };
    const place = view.places[pin()] || gone;
    const button = /** @type {HTMLButtonElement} */ (slot("button"));
    text(slot("place"), place.title);
    sentence(slot("cost"), place.blocked || place.cost);
    slot("figures").hidden = !place.figures;
    slot("figures").querySelectorAll("[data-figure]").forEach((one) => text(one, place.figures ? place.figures[one.dataset.figure] : "–"));
    if (!sending) text(button, place.button);
    // aria-disabled, not disabled: a disabled button would lose the keyboard's focus, which then returns to the top
    button.disabled = false;
    button.setAttribute("aria-disabled", String(Boolean(place.blocked)));
    root.toggleAttribute("data-blocked", Boolean(place.blocked));
  }

  // Marks the field that a refusal is about as wrong; the sentence beside the button describes it.
  const hints = new Map([...root.querySelectorAll("input[name], select[name]")].map((node) => [node, node.getAttribute("aria-describedby") || ""]));
  function showWrong() {
    [...OWN_FIELDS, "project"].forEach((name) => {
      const node = field(name);
      const wrong = view.field === name;
      node.toggleAttribute("aria-invalid", wrong);
      if (wrong) node.setAttribute("aria-invalid", "true");
      const described = hints.get(node).replace(/scnet-(refused|verdict) ?/g, "").trim();
      const all = [wrong ? "scnet-verdict" : "", described].filter(Boolean).join(" ");
      if (all) node.setAttribute("aria-describedby", all);
      else node.removeAttribute("aria-describedby");
    });
  }

  function showProblem(problem) {
    slot("problem").hidden = !problem;
    text(slot("problem-title"), problem ? problem.title : "");
    text(slot("problem-hint"), problem ? problem.hint : "");
  }

  function dropRows() {
    const listed = new Set(view.rows.map((row) => row.id));
    rows().forEach((row) => {
      if (!listed.has(row.dataset.centre) && !row.contains(document.activeElement) && !row.querySelector("input").checked) row.remove();
    });
  }

  function show() {
    // Old facts are better than none: an answer with only a problem keeps the last rows, whose age grows.
    view.rows.forEach(showRow);
    if (!view.problem) dropRows();
    slot("no-rows").hidden = slot("rows").children.length > 0;
    for (const part of ["title", "now", "why", "next"]) sentence(slot(`best-${part}`), view.best[part]);
    showProblem(view.problem);
    showProject();
    showAges();
    showChoice();
    showWrong();
    speak();
  }

  function speak() {
    const now = performance.now();
    if (view.summary === spoken.text || now - spoken.at < LIVE_EVERY) return;
    Object.assign(spoken, { text: view.summary, at: now });
    text(slot("live"), view.summary);
  }

  // ---- asking

  async function ask() {
    clearTimeout(timer);
    if (document.hidden) return;
    const mine = ++question;
    try {
      const url = root.dataset.offersUrl;
      const answer = await fetch(`${url}${url.includes("?") ? "&" : "?"}${request()}`, {
        headers: { Accept: "application/json" }, credentials: "same-origin", signal: AbortSignal.timeout(15000),
      });
      if (mine !== question) return;
      if (answer.redirected || [401, 403].includes(answer.status)) throw new Error("login");
      const offers = await answer.json();
      if (mine !== question || !offers.view) throw new Error("no view");
      failures = 0;
      accept(offers.view);
    } catch (error) {
      if (mine === question) failed(error);
    }
    if (mine === question) timer = setTimeout(ask, Math.min(every * 2 ** failures, 60000));
  }

  function accept(fresh) {
    const ageing = fresh.problem && !fresh.rows.length; // keep the present rows, and let them age
    const passed = (performance.now() - answeredAt) / 1000;
    if (ageing) fresh.rows = view.rows.map((row) => ({ ...row, stale: true, age_s: row.age_s === null ? null : row.age_s + passed }));
    if (ageing && !fresh.projects.length) fresh.projects = view.projects;
    // The hub's address only: the query of a page that answers a POST would be read as options and start a session.
    if (bare && !fresh.problem) return window.location.replace(window.location.pathname);
    answeredAt = performance.now();
    view = fresh;
    show();
  }

  function failed(error) {
    failures += 1;
    const login = error.message === "login";
    if (login || failures > 1) {
      showProblem(login
        ? { title: "Your login has ended.", hint: "Reload the page to sign in again." }
        : { title: "The hub does not answer.", hint: "The numbers below are getting old; this page keeps checking." });
    }
    showAges();
  }

  function soon() {
    clearTimeout(timer);
    question += 1; // an answer under way belongs to an older question
    timer = setTimeout(ask, 350);
  }

  // ---- the person

  root.querySelector("[autofocus]")?.scrollIntoView({ block: "center" }); // the wrong field of a refused form
  let last = checked("profile");
  root.addEventListener("input", (event) => {
    const typed = /** @type {HTMLInputElement} */ (event.target);
    const name = typed.name;
    if (OWN_FIELDS.includes(name)) typed.dataset.typed = "1";
    bare = false; // never reload while a person edits the form
    if (name === "profile") {
      if (typed.value === "own") seedOwnFields(last);
      last = typed;
    }
    if (name === "project") text(slot("balance"), "");
    if (name === "centre") showChoice();
    if (name === "project") showProject();
    soon();
  });

  if (form) {
    form.addEventListener("submit", (event) => {
      if (sending || slot("button").getAttribute("aria-disabled") === "true") {
        event.preventDefault();
        text(slot("live"), slot("cost").textContent);
        const wrong = view.field && field(view.field);
        if (wrong) {
          wrong.scrollIntoView({ block: "center" });
          wrong.focus({ preventScroll: true });
        }
        return;
      }
      sending = true;
      text(slot("button"), "Starting…");
      slot("button").setAttribute("aria-busy", "true");
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    sending = false; // back from the pending page: the button works again
    slot("button").removeAttribute("aria-busy");
    ask();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
  setInterval(() => document.hidden || showAges(), 1000);
  show();
  timer = setTimeout(ask, view.rows.some((row) => row.fit === "asking") ? 0 : every);
})();
