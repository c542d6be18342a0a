// Draws panels without a browser, at the moment of their states: reads {NAME: state} from stdin, writes {NAME: [{caption, lines}]}, the
// visible texts of each table.
import { readFileSync } from "node:fs";
import { Model, cells, load, page } from "./dom.mjs";

const drawn = {};
for (const [name, state] of Object.entries(JSON.parse(readFileSync(0, "utf-8")))) {
  const el = page();
  Date.now = () => Date.parse(state.now);
  const { default: widget } = await load(name);
  const leave = widget.render({ model: new Model(state), el });
  drawn[name] = [...el.querySelectorAll("table")]
    .filter((table) => !table.hidden)
    .map((table) => ({ caption: table.querySelector("caption").textContent, lines: cells(table) }));
  leave();
}
process.stdout.write(JSON.stringify(drawn));
