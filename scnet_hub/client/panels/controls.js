// What can be asked of a Dask cluster in its view: another size, adaptive scaling, its end. The kernel acts and answers by a new state.
import { node, put } from "./base.js";

/**
 * @typedef {import("./base.js").Model} Model
 *
 * `adaptive`: from and to how many jobs; null: a fixed size. `acted` counts the requests that the kernel has handled.
 * @typedef {{ jobs: number, adaptive: [number, number] | null, most: number, acted: number }} Controls
 */

const BUSY_MS = 5_000; // without an answer for this time, the view says why there is none
const CLOSED = "The cluster is closed. Start another with scnet.dask().";
const SAVED = "No kernel answers this view any more. Run the cell again.";
const BUSY = "Requested, not done yet. While a cell runs, the kernel takes no requests.";
let views = 0;

/**
 * A number in a form; the kernel says what is wrong with it.
 * @param {Element} parent
 * @param {string} label
 */
function field(parent, label) {
  const around = parent.appendChild(node("label", "", label));
  const input = around.appendChild(node("input"));
  input.type = "number";
  input.min = "0";
  input.step = "1";
  input.addEventListener("input", () => (input.dataset.edited = "yes"));
  return {
    value: () => (input.value.trim() === "" ? null : Number(input.value)),
    // what a person has typed stays until it was sent
    update: (/** @type {number} */ value, /** @type {number} */ most, /** @type {boolean} */ answered) => {
      input.max = String(most);
      if (answered) delete input.dataset.edited;
      if (!input.dataset.edited && input.value !== String(value)) input.value = String(value);
    },
  };
}

/**
 * A form that says something when it is submitted, by its button or by Enter.
 * @param {Element} parent
 * @param {string} label
 * @param {() => void} submitted
 */
function form(parent, label, submitted) {
  const made = parent.appendChild(node("form"));
  const fields = made.appendChild(node("span"));
  const button = made.appendChild(node("button", "", label));
  made.noValidate = true;
  button.type = "submit";
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    submitted();
  });
  // JupyterLab takes away what Enter does in a form
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target === button) return;
    event.preventDefault();
    submitted();
  });
  return { fields, button };
}

/**
 * Shows "Stop", then "Stop it" and "Keep"; Escape keeps.
 * @param {Element} parent
 * @param {() => void} stop
 */
function stopper(parent, stop) {
  const first = parent.appendChild(node("button", "", "Stop"));
  const ask = parent.appendChild(node("span", "scnet-ask"));
  const yes = ask.appendChild(node("button", "danger", "Stop it"));
  const no = ask.appendChild(node("button", "", "Keep"));
  const open = (/** @type {boolean} */ asking) => {
    ask.hidden = !asking;
    first.hidden = asking;
    (asking ? no : first).focus();
  };
  ask.hidden = true;
  for (const button of [first, yes, no]) button.type = "button";
  first.addEventListener("click", () => open(true));
  no.addEventListener("click", () => open(false));
  yes.addEventListener("click", () => {
    open(false);
    stop();
  });
  ask.addEventListener("keydown", (event) => event.key === "Escape" && open(false));
  return (/** @type {string} */ name) => {
    first.setAttribute("aria-label", `Stop ${name}`);
    yes.setAttribute("aria-label", `Yes, stop ${name}`);
    no.setAttribute("aria-label", `Keep ${name}`);
  };
}

/**
 * @param {Element} parent
 * @param {Model} model
 */
export function controlsPart(parent, model) {
  const all = parent.appendChild(node("fieldset", "scnet-controls"));
  const legend = all.appendChild(node("legend", "scnet-spoken"));
  const note = parent.appendChild(node("p", "scnet-note"));
  note.id = `scnet-controls-${(views += 1)}`;
  all.setAttribute("aria-describedby", note.id);
  let acted = 0; // as last seen
  let wanted = 0; // the number of `acted` that answers our last request
  const say = (/** @type {Record<string, unknown>} */ body) => {
    model.send(body);
    wanted = acted + 1;
    setTimeout(() => acted < wanted && put(note, BUSY), BUSY_MS);
  };

  const scaling = form(all, "Scale", () => say({ say: "scale", jobs: jobs.value() }));
  const jobs = field(scaling.fields, "Jobs ");
  const adapting = form(all, "Adapt", () => say({ say: "adapt", minimum: from.value(), maximum: to.value() }));
  const from = field(adapting.fields, "Adaptive from ");
  const to = field(adapting.fields, "to ");
  const named = stopper(all, () => say({ say: "stop" }));

  return (/** @type {string} */ name, /** @type {Controls} */ now, /** @type {{ closed: boolean, saved: boolean }} */ { closed, saved }) => {
    const answered = now.acted !== acted;
    acted = now.acted;
    put(legend, `Size of ${name}`);
    scaling.button.setAttribute("aria-label", `Scale ${name}`);
    adapting.button.setAttribute("aria-label", `Adapt ${name}`);
    named(name);
    jobs.update(now.jobs, now.most, answered);
    from.update(now.adaptive?.[0] ?? 0, now.most, answered);
    to.update(now.adaptive?.[1] ?? Math.max(1, now.jobs), now.most, answered);
    all.disabled = closed || saved;
    if (closed) put(note, CLOSED);
    else if (saved) put(note, SAVED);
    else if (acted >= wanted || note.textContent !== BUSY) put(note, now.adaptive ? `Adaptive: from ${now.adaptive[0]} to ${now.adaptive[1]} jobs, as the work needs.` : "Fixed size.");
  };
}
