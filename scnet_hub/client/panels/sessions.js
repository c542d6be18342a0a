// A person's own sessions, each with a Stop button that asks once more.
import { Table, badge, clock, node, noted, plain, put } from "./base.js";
import { framed } from "./frame.js";

/**
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {import("./base.js").Model} Model
 * @typedef {{ id: string, name: string, kind: string, size: string, centre: string, tone: string, icon: string, word: string,
 *   detail: string, expires_at: string | null, cost: string, charged: boolean, stoppable: boolean }} Session
 */

const REFUSED_MS = 8_000; // a session that is still stoppable after this time: the stop was refused, so "Stop" is offered again

/**
 * Shows "Stop", then "Stop it" and "Keep": a stop needs two clicks or keys, and Escape keeps the session.
 * @param {Model} model
 * @returns {import("./base.js").Cell<Session>}
 */
const stopper = (model) => (cell) => {
  const first = cell.appendChild(node("button", "", "Stop"));
  const ask = cell.appendChild(node("span", "scnet-ask"));
  const yes = ask.appendChild(node("button", "danger", "Stop it"));
  const no = ask.appendChild(node("button", "", "Keep"));
  /** @type {Session | null} */
  let row = null;
  let asked = 0;
  const open = (/** @type {boolean} */ asking, /** @type {boolean} */ focus) => {
    ask.hidden = !asking;
    first.hidden = asking || !row?.stoppable;
    if (focus) (asking ? no : first).focus();
  };
  first.onclick = () => open(true, true);
  no.onclick = () => open(false, true);
  yes.onclick = () => {
    model.send({ say: "stop", id: row?.id });
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

/**
 * @param {HTMLElement} body
 * @param {Model} model
 */
export function sessionsPart(body, model) {
  /** @type {Table<Session>} */
  const table = new Table(
    body,
    "My sessions",
    [
      { head: "Session", cell: noted((row) => row.name, (row) => `${row.kind}, ${row.size}`) },
      { head: "Centre", cell: plain((row) => row.centre) },
      { head: "State", cell: badge((row) => row.detail) },
      { head: "Time left", num: true, cell: clock("until", (row) => row.expires_at) },
      { head: "Cost", num: true, cell: noted((row) => row.cost, (row) => (row.charged ? "charged" : "so far")) },
      { head: "", num: true, wide: true, cell: stopper(model) },
    ],
    "You have no sessions. Start one on the hub's page, or a cluster here with scnet.dask(cores=4).",
  );
  return (/** @type {Shown & { sessions?: Session[] }} */ state) => table.update(state.sessions ?? []);
}

export default framed(sessionsPart);
