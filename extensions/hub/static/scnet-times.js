// Shows every <time datetime> of a page in the zone of the person's browser, with the federation's zone in the tooltip.
// Without this script the page shows times in the federation's zone, or in UTC if marked so.
import { MONTHS, local } from "./times.js";

const mine = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const theirs = document.querySelector('meta[name="scnet-zone"]')?.getAttribute("content") || "UTC";

function parts(at, timeZone) {
  /** @type {Intl.DateTimeFormatOptions} */
  const options = { timeZone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return Object.fromEntries(new Intl.DateTimeFormat("en-US", options).formatToParts(at).map((one) => [one.type, one.value]));
}

const FORMS = {
  minute: (p) => `${p.day} ${MONTHS[p.month - 1]} ${p.hour}:${p.minute}`,
  second: (p) => `${p.day} ${MONTHS[p.month - 1]} ${p.hour}:${p.minute}:${p.second}`,
  dated: (p) => `${p.day} ${MONTHS[p.month - 1]} ${p.year} ${p.hour}:${p.minute}`,
  day: (p) => `${p.day} ${MONTHS[p.month - 1]} ${p.year}`,
};

function said(at, form, zone) {
  return (FORMS[form] || FORMS.minute)(parts(at, zone));
}

function element(node) {
  const at = new Date(node.dateTime);
  if (isNaN(at.getTime()) || node.dataset.keep !== undefined) return;
  const shown = said(at, node.dataset.form, mine);
  if (node.textContent !== shown) node.textContent = shown;
  node.title = `${said(at, "dated", theirs)} ${theirs}`;
}

// Puts sentences into a cell: the text in the person's zone, the broker's own sentence in the tooltip.
function sentence(node, text) {
  const shown = local(text);
  if (node.textContent !== shown) node.textContent = shown;
  if (shown !== text) node.title = text;
  else node.removeAttribute("title");
}

// Shows all times below an element.
function apply(root) {
  root.querySelectorAll("time[datetime]").forEach(element);
  root.querySelectorAll("[data-sentence]").forEach((node) => sentence(node, node.textContent));
}

apply(document);
document.querySelectorAll("[data-zone-note]").forEach((node) => {
  node.title = `Days and months of the books are those of ${theirs}.`;
  node.textContent = `times of your zone, ${mine}`;
});
window.scnetTimes = { sentence, apply };
