// The usage since the start of this month: one table, whose first column is what the usage is summed by.
import { Table, plain, put } from "./base.js";
import { framed } from "./frame.js";

/**
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {{ id: string, name: string, sessions: string, charged: string, in_flight: string }} Used
 */

export default framed((body) => {
  /** @type {Table<Used>} */
  const table = new Table(
    body,
    "Credits used",
    [
      { head: "Centre", cell: plain((row) => row.name) },
      { head: "Sessions", num: true, cell: plain((row) => row.sessions) },
      { head: "Charged", num: true, cell: plain((row) => row.charged) },
      { head: "In flight", num: true, cell: plain((row) => row.in_flight) },
    ],
    "There was no usage in this time.",
  );
  return (/** @type {Shown & { head?: string, caption?: string, rows?: Used[] }} */ state) => {
    put(table.caption, state.caption ?? "");
    if (table.heads[0]) put(table.heads[0], state.head ?? "");
    table.update(state.rows ?? []);
    if (!state.now) table.empty.hidden = true; // not answered yet
  };
});
