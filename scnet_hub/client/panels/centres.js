// The member centres: their state, what is free, the queue, the price, and the age of these facts.
import { Table, badge, clock, noted, plain } from "./base.js";
import { framed } from "./frame.js";

/**
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {{ id: string, name: string, title: string, tone: string, icon: string, word: string, why: string, account: string,
 *   cores: number, cores_free: number, gpus: number, gpus_free: number, queued: number, price: string, taken_at: string | null }} Centre
 */

const share = (/** @type {number} */ part, /** @type {number} */ whole) =>
  whole ? `${part.toLocaleString("en")} / ${whole.toLocaleString("en")}` : "–";

/** @param {HTMLElement} body */
export function centresPart(body) {
  /** @type {Table<Centre>} */
  const table = new Table(body, "Centres", [
    { head: "Centre", cell: noted((row) => row.name, (row) => [row.title, row.account].filter(Boolean).join(" · ")) },
    { head: "State", cell: badge((row) => row.why) },
    { head: "Cores free", num: true, cell: plain((row) => share(row.cores_free, row.cores)) },
    { head: "GPUs free", num: true, cell: plain((row) => share(row.gpus_free, row.gpus)) },
    { head: "Queue", num: true, cell: plain((row) => row.queued.toLocaleString("en")) },
    { head: "Per core-hour", num: true, cell: plain((row) => row.price || "–") },
    { head: "Facts", num: true, cell: clock("since", (row) => row.taken_at) },
  ]);
  return (/** @type {Shown & { centres?: Centre[] }} */ state) => table.update(state.centres ?? []);
}

export default framed(centresPart);
