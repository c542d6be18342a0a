// Centres, own sessions and allocations on one page.
import { allocationsPart } from "./allocations.js";
import { centresPart } from "./centres.js";
import { framed } from "./frame.js";
import { sessionsPart } from "./sessions.js";

/** @typedef {import("./base.js").Shown} Shown */

export default framed((body, model) => {
  const parts = [centresPart(body), sessionsPart(body, model), allocationsPart(body)];
  return (/** @type {Shown} */ state) => parts.forEach((update) => update(state));
});
