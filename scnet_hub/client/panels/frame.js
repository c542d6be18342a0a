// The frame of a panel: draws the `state` dict that its Python file makes, shows its age and problems, and tells the kernel whether the
// panel is visible.
import { moment, node, put, sentence, span, tick } from "./base.js";

/**
 * @typedef {import("./base.js").Problem} Problem
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {import("./base.js").Model} Model
 */

const LOOKING_MS = 300_000; // how often the kernel is told that the panel is visible
const OLD_MS = 150_000; // a state that was not confirmed for this time is greyed
const SPEAK_MS = 10_000; // a screen reader hears the summary at most this often

/**
 * Decides what the head shows about a state's age, and whether the state is greyed (`stale`) or only the record of an earlier time (`saved`:
 * without buttons).
 * @param {Shown} state
 * @param {number} now milliseconds
 * @param {boolean} [detached] no kernel stands behind the view
 */
export function standing(state, now, detached = false) {
  const made = state.now ? Date.parse(state.now) : 0;
  const old = Boolean(state.problem?.stale) || now - made > OLD_MS;
  const stale = (old || detached) && !state.closed;
  const saved = made > 0 && !state.closed && (detached || (old && !state.problem));
  const at = made ? `as of ${moment(made, now)}` : "no answer yet";
  const rest = saved ? `, ${span((now - made) / 1000)} ago: run the cell again for a live view` : ", not updated since";
  const title = made ? `${new Date(made).toISOString().slice(0, 19).replace("T", " ")} UTC` : "";
  return { stale, saved, asof: stale && made ? at + rest : at, title };
}

/**
 * Makes the widget of one panel. `build` makes the panel's elements in `body` once, and returns what draws a state into them; `saved`: no
 * kernel stands behind the view any more.
 * @template {Shown} S
 * @param {(body: HTMLElement, model: Model) => (state: S, saved: boolean) => void} build
 */
export function framed(build) {
  let views = 0; // of this model: anywidget loads the script once for each

  /** @param {{ model: Model, el: HTMLElement }} given */
  function render({ model, el }) {
    const root = el.appendChild(node("div", "scnet"));
    const head = new Head(root);
    const update = build(root.appendChild(node("div", "scnet-body")), model);
    let saved = false;
    let ahead = 0; // the broker's clock minus this browser's, if they differ by more than a trip takes

    function age() {
      const now = Date.now() + ahead;
      tick(root, now);
      // JupyterLab marks a view without a kernel behind it
      const how = standing(model.get("state"), now, Boolean(root.closest(".jupyter-widgets-disconnected")));
      head.age(model.get("state"), how);
      if (how.saved === saved) return;
      saved = how.saved;
      update(model.get("state"), saved);
    }

    function show() {
      head.problem(model.get("state").problem);
      update(model.get("state"), saved);
      age();
    }

    function changed() {
      const skew = Date.parse(model.get("state").now) - Date.now();
      ahead = Math.abs(skew) > 5000 && !model.get("state").problem ? skew : 0;
      show();
    }

    const here = () => document.visibilityState === "visible" && model.send({ say: "here" });
    const timers = [setInterval(age, 1000), setInterval(here, LOOKING_MS)];
    views += 1;
    model.on("change:state", changed);
    document.addEventListener("visibilitychange", here);
    show();
    here();

    return () => {
      timers.forEach(clearInterval);
      document.removeEventListener("visibilitychange", here);
      model.off("change:state", changed);
      views -= 1;
      if (!views) model.send({ say: "gone" });
    };
  }

  return { render };
}

// The top of a panel: its summary, also for a screen reader, its age, and its problem.
class Head {
  /** @param {Element} root */
  constructor(root) {
    this.root = root;
    const head = root.appendChild(node("div", "scnet-head"));
    this.summary = head.appendChild(node("span", "scnet-summary"));
    this.live = head.appendChild(node("span", "scnet-spoken"));
    this.live.setAttribute("role", "status");
    this.live.setAttribute("aria-live", "polite");
    this.asof = head.appendChild(node("span", "scnet-asof"));
    this.trouble = root.appendChild(node("div", "scnet-problem"));
    this.title = this.trouble.appendChild(node("b"));
    this.hint = this.trouble.appendChild(node("span"));
    this.spoken = -Infinity;
  }

  /** @param {Problem | null} problem */
  problem(problem) {
    this.trouble.hidden = !problem;
    sentence(this.title, problem?.title ?? "");
    put(this.hint, problem?.hint ? ` ${problem.hint}` : "");
  }

  /**
   * @param {Shown} state
   * @param {ReturnType<typeof standing>} how
   */
  age(state, how) {
    this.root.classList.toggle("is-saved", how.saved);
    this.root.classList.toggle("is-stale", how.stale);
    put(this.asof, how.asof);
    this.asof.title = how.title;
    put(this.summary, state.summary);
    const words = [state.summary, state.problem?.title].filter(Boolean).join(". ");
    if (this.live.textContent === words || performance.now() - this.spoken <= SPEAK_MS) return;
    put(this.live, words);
    this.spoken = performance.now();
  }
}
