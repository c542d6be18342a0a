// The shared parts of the panels in a notebook: elements, times, table cells, and the table. The frame around them is frame.js.
// Values are replaced in place, so focus, selection and scroll survive a refresh. Nothing is loaded from anywhere. Ages and times left
// tick in the browser, from the absolute times in the state.
import { MONTHS, local, two } from "./times.js";

/**
 * A problem, in words. `stale`: the facts could not be refreshed.
 * @typedef {{ title: string, hint: string, stale?: boolean }} Problem
 *
 * What every panel's state holds. `now`: when it was true; null before the first answer. `closed`: it no longer changes.
 * @typedef {{ summary: string, now: string | null, problem: Problem | null, closed?: boolean }} Shown
 *
 * The widget's model, as anywidget hands it to `render`.
 * @typedef {object} Model
 * @property {(name: "state") => any} get
 * @property {(event: string, heard: () => void) => void} on
 * @property {(event: string, heard: () => void) => void} off
 * @property {(body: Record<string, unknown>) => void} send
 *
 * @typedef {{ id: string }} Row
 *
 * A state in a cell: its word, and an icon and a tone that say the same.
 * @typedef {{ tone: string, icon: string, word: string }} Badge
 */

// ---- elements

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @returns {HTMLElementTagNameMap[T]}
 */
export function node(tag, cls = "", text = "") {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  if (text) made.textContent = text;
  return made;
}

/**
 * Sets an element's text, if it differs.
 * @param {Element} target
 * @param {string} text
 */
export function put(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Draws an SVG that charts.py made (which escapes what it prints), if it differs from the last one.
 * @param {HTMLElement} target
 * @param {string} svg
 */
export function draw(target, svg) {
  if (target.dataset.drawn === svg) return;
  target.dataset.drawn = svg;
  target.replaceChildren(...new DOMParser().parseFromString(`<!doctype html><html><body>${svg}</body></html>`, "text/html").body.children);
}

/**
 * One element for each row, in the rows' order. Elements of rows that stay are kept as they are.
 * @template R
 */
export class Keyed {
  /**
   * @param {Element} parent
   * @param {(row: R) => { root: Element, update: (row: R) => void }} make
   * @param {(row: R) => string} key
   */
  constructor(parent, make, key) {
    this.parent = parent;
    this.make = make;
    this.key = key;
    /** @type {Map<string, { root: Element, update: (row: R) => void }>} */
    this.made = new Map();
  }

  /** @param {R[]} rows */
  update(rows) {
    const keys = new Set(rows.map(this.key));
    for (const [key, { root }] of this.made) {
      if (keys.has(key)) continue;
      root.remove();
      this.made.delete(key);
    }
    rows.forEach((row, index) => {
      const one = this.made.get(this.key(row)) ?? this.make(row);
      this.made.set(this.key(row), one);
      if (this.parent.children[index] !== one.root) this.parent.insertBefore(one.root, this.parent.children[index] ?? null);
      one.update(row);
    });
  }
}

// ---- times

/**
 * Formats a duration in words: "12 s", "45 min", "3 h 5 min", "4 d".
 * @param {number} seconds
 */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 1) return "now";
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  const minutes = Math.round(s / 60);
  if (s < 172_800) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.round(s / 86_400)} d`;
}

/**
 * Formats a moment in the person's zone: "14:05:09" today, else "23 Nov 14:05".
 * @param {number} at milliseconds
 */
export function moment(at, now = Date.now()) {
  const made = new Date(at);
  if (made.toDateString() === new Date(now).toDateString()) return `${two(made.getHours())}:${two(made.getMinutes())}:${two(made.getSeconds())}`;
  return `${made.getDate()} ${MONTHS[made.getMonth()]} ${two(made.getHours())}:${two(made.getMinutes())}`;
}

/**
 * Sets a sentence with its times in the person's zone; the broker's own words are the tooltip.
 * @param {HTMLElement} target
 * @param {string} text
 */
export function sentence(target, text) {
  const shown = local(text);
  put(target, shown);
  if (shown !== text) target.title = text;
  else target.removeAttribute("title");
}

/** @type {Record<string, (at: number, now: number) => string>} */
const TICKING = {
  since: (at, now) => (span((now - at) / 1000) === "now" ? "now" : `${span((now - at) / 1000)} ago`),
  until: (at, now) => span((at - now) / 1000),
};

/**
 * Makes an element tick: how long ago (`since`), or how long until (`until`), an ISO time is; "–" for none.
 * @param {HTMLElement} target
 * @param {"since" | "until"} kind
 * @param {string | null | undefined} iso
 */
export function timed(target, kind, iso) {
  target.dataset.at = iso ? String(Date.parse(iso)) : "";
  target.dataset.kind = kind;
  if (!iso) put(target, "–");
}

/**
 * Brings every ticking element below `root` to `now` (milliseconds).
 * @param {Element} root
 * @param {number} now
 */
export function tick(root, now) {
  for (const cell of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-at]"))) {
    const words = TICKING[cell.dataset.kind ?? ""];
    if (cell.dataset.at && words) put(cell, words(Number(cell.dataset.at), now));
  }
}

// ---- cells: a column makes its cell once, and returns what updates it

/**
 * @template R
 * @typedef {(cell: HTMLElement) => (row: R) => void} Cell
 */
/**
 * @template R
 * @typedef {{ head: string, cell: Cell<R>, num?: boolean, wide?: boolean }} Column
 */

/**
 * Shows a text.
 * @template R
 * @param {(row: R) => string} pick
 * @returns {Cell<R>}
 */
export const plain = (pick) => (cell) => (row) => put(cell, pick(row));

/**
 * Shows a text with a small note below it, hidden while it is empty.
 * @template R
 * @param {(row: R) => string} pick
 * @param {(row: R) => string} note
 * @returns {Cell<R>}
 */
export const noted = (pick, note) => (cell) => {
  const main = cell.appendChild(node("span"));
  const small = cell.appendChild(node("span", "scnet-note"));
  return (row) => {
    put(main, pick(row));
    put(small, note(row));
    small.hidden = !small.textContent;
  };
};

/**
 * Shows a state by icon and word, with a note below it.
 * @template {Badge} R
 * @param {(row: R) => string} note
 * @returns {Cell<R>}
 */
export const badge = (note) => (cell) => {
  const mark = cell.appendChild(node("span", "scnet-state"));
  const icon = mark.appendChild(node("i"));
  icon.setAttribute("aria-hidden", "true");
  const word = mark.appendChild(node("span"));
  const small = cell.appendChild(node("span", "scnet-note"));
  return (row) => {
    mark.className = `scnet-state ${row.tone}`;
    put(icon, row.icon);
    put(word, row.word);
    put(small, note(row));
    small.hidden = !small.textContent;
  };
};

/**
 * Shows an age, or a time left.
 * @template R
 * @param {"since" | "until"} kind
 * @param {(row: R) => string | null} pick
 * @returns {Cell<R>}
 */
export const clock = (kind, pick) => (cell) => (row) => timed(cell, kind, pick(row));

// ---- the table

const classes = (num = false, wide = false) => [num && "num", wide && "wide"].filter(Boolean).join(" ");

/**
 * A table with a caption, and a sentence in its place while it has no rows.
 * @template {Row} R
 */
export class Table {
  /**
   * @param {Element} parent
   * @param {string} caption
   * @param {Column<R>[]} columns
   */
  constructor(parent, caption, columns, empty = "") {
    this.columns = columns;
    this.table = parent.appendChild(node("div", "scnet-scroll")).appendChild(node("table"));
    this.caption = this.table.appendChild(node("caption", "", caption));
    const head = this.table.appendChild(node("thead")).appendChild(node("tr"));
    this.heads = columns.map(({ head: text, num, wide }) => {
      const cell = head.appendChild(node("th", classes(num, wide), text));
      cell.setAttribute("scope", "col");
      if (!text) cell.setAttribute("aria-label", "Action");
      return cell;
    });
    this.rows = new Keyed(this.table.appendChild(node("tbody")), () => this.line(), (/** @type {R} */ row) => row.id);
    this.empty = parent.appendChild(node("p", "scnet-empty", empty));
  }

  line() {
    const root = node("tr");
    const updates = this.columns.map(({ num, wide, cell }, index) => {
      const made = root.appendChild(node(index ? "td" : "th", classes(num, wide)));
      if (!index) made.setAttribute("scope", "row");
      return cell(made);
    });
    return { root, update: (/** @type {R} */ row) => updates.forEach((update) => update(row)) };
  }

  /** @param {R[]} rows */
  update(rows) {
    this.rows.update(rows);
    this.table.hidden = !rows.length;
    this.empty.hidden = Boolean(rows.length) || !this.empty.textContent;
  }
}
