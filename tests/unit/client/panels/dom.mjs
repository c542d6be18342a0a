// What the unit tests of the panels' JavaScript share: a page without a browser, the files under test, and a widget's model.
import { createRequire } from "node:module";

const PANELS = new URL("../../../../scnet_hub/client/panels/", import.meta.url);
const TOOLS = new URL("../../../../.venv/share/scnet/javascript/", import.meta.url); // `make tools` installs linkedom there

/** A fresh, empty page: the globals that panels use, and its body. */
export function page() {
  const { parseHTML } = createRequire(TOOLS)("linkedom");
  const { window, document } = parseHTML("<!doctype html><html><body></body></html>");
  Object.defineProperty(document, "visibilityState", { value: "visible" });
  Object.assign(globalThis, { document, DOMParser: window.DOMParser });
  return document.body;
}

/** The JavaScript of `name`, as it lies in the package. */
export const load = (name) => import(new URL(`${name}.js`, PANELS));

/** A model as anywidget hands it to `render`: `sent` is what the view says, `news(state)` what the kernel sends. */
export class Model {
  constructor(state) {
    this.state = state;
    this.sent = [];
    this.heard = new Set();
  }

  get() {
    return this.state;
  }

  on(_event, heard) {
    this.heard.add(heard);
  }

  off(_event, heard) {
    this.heard.delete(heard);
  }

  send(body) {
    this.sent.push(body);
  }

  news(state) {
    this.state = state;
    this.heard.forEach((heard) => heard());
  }
}

/** The texts of a table's cells, line by line; hidden ones are left out. */
export const cells = (table) =>
  [...table.querySelectorAll("tr")].map((line) => [...line.children].map((cell) => [...texts(cell)].join(" ").trim()));

function* texts(node) {
  if (node.nodeType === 3) yield node.textContent;
  else if (!node.hidden) for (const child of node.childNodes) yield* texts(child);
}
