// The Stop button of a session: two steps, and a refused stop is offered again.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Model, load, page } from "./dom.mjs";

const { sessionsPart } = await load("sessions");
const session = (changes = {}) => ({
  id: "abc", name: "train", kind: "batch", size: "4 cores", centre: "Alpha", tone: "good", icon: "●", word: "running", detail: "", expires_at: null,
  cost: "0.40", charged: false, stoppable: true, ...changes,
});
let body, model, update;

beforeEach(() => {
  body = page();
  model = new Model({});
  const draw = sessionsPart(body, model);
  update = (...sessions) => draw({ sessions });
});

const buttons = () => [...body.querySelectorAll("button")].filter((one) => !one.hidden && !one.parentNode.hidden).map((one) => one.textContent);
const press = (label) => body.querySelector(`button[aria-label="${label}"]`).click();

test("nothing is sent until the second step, and Keep takes the first one back", () => {
  update(session());
  assert.deepEqual(buttons(), ["Stop"]);
  press("Stop session train at Alpha");
  assert.deepEqual(buttons(), ["Stop it", "Keep"]);
  press("Keep session train at Alpha");
  assert.deepEqual([buttons(), model.sent], [["Stop"], []]);
  press("Stop session train at Alpha");
  press("Yes, stop session train at Alpha");
  assert.deepEqual([buttons(), model.sent], [["Stopping…"], [{ say: "stop", id: "abc" }]]);
});

test("a refresh leaves an open question open; a session that can't be stopped any more closes it", () => {
  update(session());
  press("Stop session train at Alpha");
  update(session({ cost: "0.50" }));
  assert.deepEqual(buttons(), ["Stop it", "Keep"]);
  update(session({ stoppable: false }));
  assert.deepEqual(buttons(), []);
});

test("a session that is still there some seconds after its stop was refused: Stop is offered again", (t) => {
  update(session());
  press("Stop session train at Alpha");
  press("Yes, stop session train at Alpha");
  const pressed = Date.now();
  update(session());
  assert.deepEqual(buttons(), ["Stopping…"]);
  t.mock.method(Date, "now", () => pressed + 9000);
  update(session());
  assert.deepEqual(buttons(), ["Stop"]);
});

test("a cost says whether it was charged or is an estimate so far", () => {
  update(session(), session({ id: "old", cost: "1.06", charged: true, stoppable: false }));
  assert.deepEqual([...body.querySelectorAll("td:nth-child(5)")].map((one) => one.textContent), ["0.40so far", "1.06charged"]);
});
