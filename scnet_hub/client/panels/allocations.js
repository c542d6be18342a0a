// A person's allocations: four numbers, one bar, the quotas, the rate of spending, and the last days as a chart.
import { Keyed, draw, node, put, sentence, timed } from "./base.js";
import { framed } from "./frame.js";

/**
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {{ key: string, label: string, text: string, share: number, at: string | null }} Amount
 * @typedef {{ name: string, text: string, share: number, tone: string }} Quota
 * @typedef {{ id: string, title: string, granted: string, money: Amount[], quotas: Quota[], pace: string, chart: string }} Balance
 */

/** @param {Amount} one */
function number(one) {
  const root = node("div", one.key);
  root.appendChild(node("dt", "", one.label));
  const text = root.appendChild(node("dd"));
  const age = root.appendChild(node("dd", "scnet-note"));
  return {
    root,
    update: (/** @type {Amount} */ fresh) => {
      put(text, fresh.text);
      timed(age, "since", fresh.at);
      age.hidden = !fresh.at;
    },
  };
}

/** @param {Amount} one */
function part(one) {
  const root = node("span", one.key);
  return { root, update: (/** @type {Amount} */ fresh) => void (root.style.width = `${fresh.share * 100}%`) };
}

function meter() {
  const root = node("div", "scnet-quota");
  const text = root.appendChild(node("span"));
  const track = root.appendChild(node("span", "scnet-meter"));
  track.setAttribute("aria-hidden", "true"); // the text has the same information
  const fill = track.appendChild(node("span"));
  return {
    root,
    update: (/** @type {Quota} */ fresh) => {
      root.className = `scnet-quota ${fresh.tone}`;
      put(text, fresh.text);
      fill.style.width = `${fresh.share * 100}%`;
    },
  };
}

function allocation() {
  const root = node("section", "scnet-money");
  const note = root.appendChild(node("h4", "", "My allocation ")).appendChild(node("span", "scnet-note"));
  const numbers = new Keyed(root.appendChild(node("dl")), number, (one) => one.key);
  const bar = root.appendChild(node("div", "scnet-bar"));
  bar.setAttribute("aria-hidden", "true"); // the four numbers have the same information
  const parts = new Keyed(bar, part, (one) => one.key);
  const meters = new Keyed(root.appendChild(node("div", "scnet-quotas")), meter, (/** @type {Quota} */ one) => one.name);
  const pace = root.appendChild(node("p", "scnet-pace"));
  const days = root.appendChild(node("div", "scnet-days"));
  return {
    root,
    update: (/** @type {Balance} */ row) => {
      put(note, `${row.title}, ${row.granted} credits granted`);
      numbers.update(row.money);
      parts.update(row.money);
      meters.update(row.quotas);
      sentence(pace, row.pace ?? "");
      draw(days, row.chart ?? "");
    },
  };
}

/** @param {HTMLElement} body */
export function allocationsPart(body) {
  const each = new Keyed(body.appendChild(node("div")), allocation, (/** @type {Balance} */ row) => row.id);
  return (/** @type {Shown & { balances?: Balance[] }} */ state) => each.update(state.balances ?? []);
}

export default framed(allocationsPart);
