// Draws the `state` dict of state.py. Values are replaced in place, so focus, selection and scroll survive a refresh.
// Nothing is loaded from anywhere. Ages and times left tick here, from the absolute times in the state.

const LOOKING_MS = 300_000; // how often the kernel hears that somebody looks
const OLD_MS = 150_000; // no word for so long: greyed
const REFUSED_MS = 8_000; // still stoppable so long after "Stop": it was refused, offer it again
const SPEAK_MS = 10_000; // a screen reader hears the summary at most so often

function node(tag, cls = "", text = "") {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (text) made.textContent = text;
  return made;
}

function put(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function words(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 1) return "now";
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  const minutes = Math.round(s / 60);
  if (s < 172_800) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.round(s / 86_400)} d`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

// "14:05:09" today, else "23 Nov 14:05", in the person's zone.
function moment(at) {
  const made = new Date(at);
  if (made.toDateString() === new Date().toDateString()) return `${two(made.getHours())}:${two(made.getMinutes())}:${two(made.getSeconds())}`;
  return `${made.getDate()} ${MONTHS[made.getMonth()]} ${two(made.getHours())}:${two(made.getMinutes())}`;
}

// The broker writes times into sentences as "23 Nov 14:05 UTC", or "14:05 UTC" for today: here in the person's zone, as on the hub's pages.
function local(text) {
  if (ZONE === "UTC") return text;
  return text.replace(/\b(?:(\d{1,2}) ([A-Z][a-z]{2}) )?(\d{2}):(\d{2}) UTC\b/g, (whole, day, month, hour, minute) => {
    if (month && !MONTHS.includes(month)) return whole;
    const now = new Date();
    const made = (year) => Date.UTC(year, month ? MONTHS.indexOf(month) : now.getUTCMonth(), day || now.getUTCDate(), hour, minute);
    const years = month ? [-1, 0, 1].map((more) => made(now.getUTCFullYear() + more)) : [made(now.getUTCFullYear())];
    const at = new Date(years.sort((a, b) => Math.abs(a - now) - Math.abs(b - now))[0]);
    return `${at.getDate()} ${MONTHS[at.getMonth()]} ${two(at.getHours())}:${two(at.getMinutes())}`;
  });
}

// A sentence with its times in the person's zone; the broker's own words are the tooltip.
function sentence(target, text) {
  const shown = local(text);
  put(target, shown);
  if (shown !== text) target.title = text;
  else target.removeAttribute("title");
}

const ages = {
  since: (at, now) => (words((now - at) / 1000) === "now" ? "now" : `${words((now - at) / 1000)} ago`),
  until: (at, now) => words((at - now) / 1000),
};

function timed(target, kind, iso) {
  target.dataset.at = iso ? String(Date.parse(iso)) : "";
  target.dataset.kind = kind;
  if (!iso) put(target, "–");
}

const free = (part, whole) => (whole ? `${part.toLocaleString("en")} / ${whole.toLocaleString("en")}` : "–");

// A column makes its cell once and returns what updates it.
const plain = (pick) => (cell) => (row) => put(cell, pick(row));
const noted = (pick, note) => (cell) => {
  const main = cell.appendChild(node("span"));
  const small = cell.appendChild(node("span", "scnet-note"));
  return (row) => {
    put(main, pick(row));
    put(small, note(row));
    small.hidden = !small.textContent;
  };
};
const stateOf = (note) => (cell) => {
  const badge = cell.appendChild(node("span", "scnet-state"));
  const icon = badge.appendChild(node("i"));
  icon.setAttribute("aria-hidden", "true");
  const word = badge.appendChild(node("span"));
  const small = cell.appendChild(node("span", "scnet-note"));
  return (row) => {
    badge.className = `scnet-state ${row.tone}`;
    put(icon, row.icon);
    put(word, row.word);
    put(small, note(row));
    small.hidden = !small.textContent;
  };
};
const clock = (kind, pick) => (cell) => (row) => timed(cell, kind, pick(row));

// "Stop", then "Stop it" and "Keep": two clicks or keys, and Escape keeps.
const stopper = (model) => (cell) => {
  const first = cell.appendChild(node("button", "", "Stop"));
  const ask = cell.appendChild(node("span", "scnet-ask"));
  const yes = ask.appendChild(node("button", "danger", "Stop it"));
  const no = ask.appendChild(node("button", "", "Keep"));
  let row = null;
  let asked = 0;
  const open = (asking, focus) => {
    ask.hidden = !asking;
    first.hidden = asking || !row?.stoppable;
    if (focus) (asking ? no : first).focus();
  };
  first.onclick = () => open(true, true);
  no.onclick = () => open(false, true);
  yes.onclick = () => {
    model.send({ say: "stop", id: row.id });
    open(false, false);
    asked = Date.now();
    first.disabled = true;
    put(first, "Stopping…");
  };
  ask.addEventListener("keydown", (event) => event.key === "Escape" && open(false, true));
  return (fresh) => {
    if (!row) ask.hidden = true;
    row = fresh;
    if (first.disabled && Date.now() - asked > REFUSED_MS) {
      first.disabled = false;
      put(first, "Stop");
    }
    const what = `session ${row.name} at ${row.centre}`;
    first.setAttribute("aria-label", `Stop ${what}`);
    yes.setAttribute("aria-label", `Yes, stop ${what}`);
    no.setAttribute("aria-label", `Keep ${what}`);
    if (!row.stoppable) ask.hidden = true;
    first.hidden = !row.stoppable || !ask.hidden;
  };
};

class Table {
  constructor(parent, caption, columns, empty = "") {
    this.columns = columns;
    this.rows = new Map();
    this.table = parent.appendChild(node("table"));
    this.table.appendChild(node("caption", "", caption));
    const head = this.table.appendChild(node("thead")).appendChild(node("tr"));
    for (const { head: text, num, wide } of columns) {
      const cell = head.appendChild(node("th", `${num ? "num" : ""}${wide ? " wide" : ""}`, text));
      cell.scope = "col";
      if (!text) cell.setAttribute("aria-label", "Action");
    }
    this.body = this.table.appendChild(node("tbody"));
    this.empty = parent.appendChild(node("p", "scnet-empty", empty));
  }

  add(key) {
    const line = node("tr");
    const updates = this.columns.map(({ num, cell }, index) => {
      const made = line.appendChild(node(index ? "td" : "th", num ? "num" : ""));
      if (!index) made.scope = "row";
      return cell(made);
    });
    this.rows.set(key, { line, updates });
    return this.rows.get(key);
  }

  update(rows) {
    const keys = new Set(rows.map((row) => row.id));
    for (const [key, { line }] of this.rows) {
      if (!keys.has(key)) {
        line.remove();
        this.rows.delete(key);
      }
    }
    rows.forEach((row, index) => {
      const { line, updates } = this.rows.get(row.id) ?? this.add(row.id);
      if (this.body.children[index] !== line) this.body.insertBefore(line, this.body.children[index] ?? null);
      for (const update of updates) update(row);
    });
    this.table.hidden = !rows.length;
    this.empty.hidden = Boolean(rows.length) || !this.empty.textContent;
  }
}

function centresTable(parent) {
  return new Table(parent, "Centres", [
    { head: "Centre", cell: noted((row) => row.name, (row) => [row.title, row.account].filter(Boolean).join(" · ")) },
    { head: "State", cell: stateOf((row) => row.why) },
    { head: "Cores free", num: true, cell: plain((row) => free(row.cores_free, row.cores)) },
    { head: "GPUs free", num: true, cell: plain((row) => free(row.gpus_free, row.gpus)) },
    { head: "Queue", num: true, cell: plain((row) => row.queued.toLocaleString("en")) },
    { head: "Per core-hour", num: true, cell: plain((row) => row.price || "–") },
    { head: "Facts", num: true, cell: clock("since", (row) => row.taken_at) },
  ]);
}

function sessionsTable(parent, model) {
  return new Table(
    parent,
    "My sessions",
    [
      { head: "Session", cell: noted((row) => row.name, (row) => `${row.kind}, ${row.size}`) },
      { head: "Centre", cell: plain((row) => row.centre) },
      { head: "State", cell: stateOf((row) => row.detail) },
      { head: "Time left", num: true, cell: clock("until", (row) => row.expires_at) },
      { head: "Cost", num: true, cell: noted((row) => row.cost, (row) => (row.charged ? "charged" : "so far")) },
      { head: "", num: true, wide: true, cell: stopper(model) },
    ],
    "No sessions of yours. Start one on the hub's page, or a cluster here with scnet.dask(cores=4).",
  );
}

class Money {
  constructor(parent) {
    this.parent = parent;
    this.rows = new Map();
  }

  add(key) {
    const root = this.parent.appendChild(node("section", "scnet-money"));
    const title = root.appendChild(node("h4", "", "My allocation "));
    const made = { root, note: title.appendChild(node("span", "scnet-note")), numbers: {}, ages: {}, parts: {}, quotas: {} };
    made.list = root.appendChild(node("dl"));
    made.bar = root.appendChild(node("div", "scnet-bar"));
    made.bar.setAttribute("aria-hidden", "true"); // the four numbers say it
    made.meters = root.appendChild(node("div", "scnet-quotas"));
    made.pace = root.appendChild(node("p", "scnet-pace"));
    made.days = root.appendChild(node("div", "scnet-days"));
    made.drawn = "";
    this.rows.set(key, made);
    return made;
  }

  number(made, one) {
    const box = made.list.appendChild(node("div", one.key));
    box.appendChild(node("dt", "", one.label));
    made.numbers[one.key] = box.appendChild(node("dd"));
    made.ages[one.key] = box.appendChild(node("dd", "scnet-note"));
    made.parts[one.key] = made.bar.appendChild(node("span", one.key));
  }

  quota(made, one) {
    const root = made.meters.appendChild(node("div"));
    const text = root.appendChild(node("span"));
    const track = root.appendChild(node("span", "scnet-meter"));
    track.setAttribute("aria-hidden", "true"); // the text says it
    made.quotas[one.name] = { root, text, fill: track.appendChild(node("span")) };
  }

  update(rows) {
    const keys = new Set(rows.map((row) => row.id));
    for (const [key, made] of this.rows) {
      if (!keys.has(key)) {
        made.root.remove();
        this.rows.delete(key);
      }
    }
    for (const row of rows) {
      const made = this.rows.get(row.id) ?? this.add(row.id);
      put(made.note, `${row.title}, ${row.granted} credits granted`);
      for (const one of row.money) {
        if (!made.numbers[one.key]) this.number(made, one);
        put(made.numbers[one.key], one.text);
        timed(made.ages[one.key], "since", one.at);
        made.ages[one.key].hidden = !one.at;
        made.parts[one.key].style.width = `${one.share * 100}%`;
      }
      for (const one of row.quotas) {
        if (!made.quotas[one.name]) this.quota(made, one);
        const { root, text, fill } = made.quotas[one.name];
        root.className = `scnet-quota ${one.tone}`;
        put(text, one.text);
        fill.style.width = `${one.share * 100}%`;
      }
      sentence(made.pace, row.pace ?? "");
      if (made.drawn !== (row.chart ?? "")) {
        made.drawn = row.chart ?? ""; // made by charts.py, which escapes what it prints
        made.days.replaceChildren(...new DOMParser().parseFromString(made.drawn, "text/html").body.children);
      }
    }
  }
}

class Cluster {
  constructor(parent) {
    this.root = parent.appendChild(node("section", "scnet-cluster"));
    const title = this.root.appendChild(node("h4"));
    this.name = title.appendChild(node("span"));
    this.link = title.appendChild(node("a", "", "Dashboard"));
    this.link.target = "_blank";
    this.link.rel = "noopener";
    this.why = this.root.appendChild(node("p", "scnet-why"));
    this.jobs = new Table(
      this.root,
      "Jobs",
      [
        { head: "Job", cell: noted((row) => row.name, (row) => row.size) },
        { head: "Centre", cell: plain((row) => row.centre) },
        { head: "State", cell: stateOf((row) => row.detail) },
        { head: "Workers", num: true, cell: plain((row) => row.workers) },
        { head: "Cost", num: true, cell: plain((row) => row.cost) },
      ],
      "No jobs: cluster.scale(1) asks for one.",
    );
    this.notes = this.root.appendChild(node("ul"));
  }

  update(cluster, closed) {
    this.root.hidden = !cluster;
    if (!cluster) return;
    put(this.name, `Dask cluster ${cluster.name}`);
    put(this.why, cluster.why);
    this.link.hidden = !cluster.dashboard;
    if (/^(https?:\/\/|\/)/.test(cluster.dashboard)) this.link.href = cluster.dashboard;
    this.jobs.update(cluster.jobs);
    if (closed) this.jobs.empty.hidden = true;
    if (this.notes.dataset.text !== cluster.notes.join("\n")) {
      this.notes.dataset.text = cluster.notes.join("\n");
      this.notes.replaceChildren(...cluster.notes.map((note) => node("li", "", note)));
    }
  }
}

function render({ model, el }) {
  const root = el.appendChild(node("div", "scnet"));
  const head = root.appendChild(node("div", "scnet-head"));
  const summary = head.appendChild(node("span", "scnet-summary"));
  const live = head.appendChild(node("span", "scnet-spoken"));
  live.setAttribute("role", "status");
  live.setAttribute("aria-live", "polite");
  const asof = head.appendChild(node("span", "scnet-asof"));
  const problem = root.appendChild(node("div", "scnet-problem"));
  const [title, hint] = [problem.appendChild(node("b")), problem.appendChild(node("span"))];
  const cluster = new Cluster(root);
  const lists = root.appendChild(node("div"));
  const [centres, sessions, money] = [centresTable(lists), sessionsTable(lists, model), new Money(lists)];
  let ahead = 0; // the broker's clock minus this browser's, if they differ by more than a trip takes
  let spoken = -Infinity;

  function tick() {
    const state = model.get("state");
    const now = Date.now() + ahead;
    for (const cell of root.querySelectorAll("[data-at]")) {
      if (cell.dataset.at) put(cell, ages[cell.dataset.kind](Number(cell.dataset.at), now));
    }
    const made = state.now ? Date.parse(state.now) : 0;
    const old = (Boolean(state.problem) && !state.cluster) || now - made > OLD_MS; // a cluster's problem is no silence
    const at = made ? `as of ${moment(made)}` : "no answer yet";
    // JupyterLab marks a view without a kernel behind it; elsewhere nothing was heard for long, and no error was either.
    const gone = Boolean(root.closest(".jupyter-widgets-disconnected"));
    const saved = made && !state.closed && (gone || (old && !state.problem));
    root.classList.toggle("is-saved", Boolean(saved));
    root.classList.toggle("is-stale", (old || gone) && !state.closed);
    const rest = saved ? `, ${words((now - made) / 1000)} ago: run the cell again for a live view` : ", not updated since";
    put(asof, (old || gone) && made && !state.closed ? `${at}${rest}` : at);
    asof.title = made ? `${new Date(made).toISOString().slice(0, 19).replace("T", " ")} UTC` : "";
    put(summary, state.summary);
    if (live.textContent !== state.summary && performance.now() - spoken > SPEAK_MS) {
      put(live, state.summary);
      spoken = performance.now();
    }
  }

  function draw() {
    const state = model.get("state");
    problem.hidden = !state.problem;
    sentence(title, state.problem ? state.problem.title : "");
    put(hint, state.problem && state.problem.hint ? ` ${state.problem.hint}` : "");
    cluster.update(state.cluster, state.closed);
    lists.hidden = Boolean(state.cluster);
    centres.update(state.centres ?? []);
    sessions.update(state.sessions ?? []);
    money.update(state.balances ?? []);
    tick();
  }

  function changed() {
    const skew = Date.parse(model.get("state").now) - Date.now();
    ahead = Math.abs(skew) > 5000 && !model.get("state").problem ? skew : 0;
    draw();
  }

  const here = () => document.visibilityState === "visible" && model.send({ say: "here" });
  const timers = [setInterval(tick, 1000), setInterval(here, LOOKING_MS)];
  model.scnetViews = (model.scnetViews ?? 0) + 1;
  model.on("change:state", changed);
  document.addEventListener("visibilitychange", here);
  draw();
  here();

  return () => {
    timers.forEach(clearInterval);
    document.removeEventListener("visibilitychange", here);
    model.off("change:state", changed);
    model.scnetViews -= 1;
    if (!model.scnetViews) model.send({ say: "gone" });
  };
}

export default { render };
