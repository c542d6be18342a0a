// The controls of a Dask cluster: what they say to the kernel, and what they show of its answers.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Model, load, page } from "./dom.mjs";

const { controlsPart } = await load("controls");
let body, model, draw, clock;
const controls = (changes = {}) => ({ jobs: 3, adaptive: null, most: 1000, acted: 0, ...changes });
const update = (changes = {}, how = {}) => draw("cluster ocean", controls(changes), { closed: false, saved: false, ...how });
const input = (label) => [...body.querySelectorAll("label")].find((one) => one.textContent.trim() === label).querySelector("input");
const button = (label) => body.querySelector(`button[aria-label="${label} cluster ocean"]`);
const note = () => body.querySelector("p").textContent;

/** As a browser does for a click on the button, and for Enter in a field of its form. */
const submit = (label) => {
  const event = new globalThis.document.defaultView.Event("submit", { cancelable: true });
  button(label).closest("form").dispatchEvent(event);
  assert.ok(event.defaultPrevented);
};

const type = (field, text) => {
  field.value = text;
  field.dispatchEvent(new globalThis.document.defaultView.Event("input"));
};

beforeEach((t) => {
  clock = t.mock.timers;
  clock.enable({ apis: ["setTimeout"] });
  body = page();
  model = new Model({});
  draw = controlsPart(body, model);
  update();
});

test("fields show the size that is asked for, with names and a state in words", () => {
  assert.deepEqual([input("Jobs").value, input("Adaptive from").value, input("to").value, note()], ["3", "0", "3", "Fixed size."]);
  update({ jobs: 2, adaptive: [1, 6] });
  assert.deepEqual([input("Jobs").value, input("Adaptive from").value, input("to").value], ["2", "1", "6"]);
  assert.equal(note(), "Adaptive: from 1 to 6 jobs, as the work needs.");
  assert.equal(body.querySelector("fieldset").getAttribute("aria-describedby"), body.querySelector("p").id);
});

test("a refresh leaves alone what a person types, until the kernel has handled it", () => {
  type(input("Jobs"), "8");
  update({ jobs: 4 });
  assert.equal(input("Jobs").value, "8");
  submit("Scale");
  assert.deepEqual(model.sent, [{ say: "scale", jobs: 8 }]);
  update({ jobs: 8, acted: 1 });
  update({ jobs: 7, acted: 1 });
  assert.equal(input("Jobs").value, "7");
});

test("numbers go to the kernel as they are typed: it says what is wrong with them", () => {
  for (const [text, value] of [["-1", -1], ["2.5", 2.5], ["", null], ["1e6", 1_000_000]]) {
    type(input("Jobs"), text);
    submit("Scale");
    assert.deepEqual(model.sent.pop(), { say: "scale", jobs: value });
  }
  type(input("to"), "9");
  submit("Adapt");
  assert.deepEqual(model.sent, [{ say: "adapt", minimum: 0, maximum: 9 }]);
});

test("Enter in a field asks once, also where a page keeps forms from being submitted", () => {
  const { Event } = globalThis.document.defaultView;
  for (const key of ["1", "Enter"]) {
    const event = Object.assign(new Event("keydown", { bubbles: true, cancelable: true }), { key });
    input("Jobs").dispatchEvent(event);
    assert.equal(event.defaultPrevented, key === "Enter");
  }
  assert.deepEqual(model.sent, [{ say: "scale", jobs: 3 }]);
});

test("a request that is not answered says why", () => {
  submit("Scale");
  clock.tick(5000);
  assert.equal(note(), "Requested, not done yet. While a cell runs, the kernel takes no requests.");
  update();
  assert.match(note(), /^Requested/);
  update({ acted: 1 });
  assert.equal(note(), "Fixed size.");
});

test("Stop asks once more, and Keep takes it back", () => {
  button("Stop").click();
  assert.deepEqual([button("Stop").hidden, body.querySelector(".scnet-ask").hidden, model.sent], [true, false, []]);
  button("Keep").click();
  assert.deepEqual([button("Stop").hidden, model.sent], [false, []]);
  button("Stop").click();
  button("Yes, stop").click();
  assert.deepEqual(model.sent, [{ say: "stop" }]);
});

test("without a cluster or a kernel nothing can be asked, and the reason stands there", () => {
  update({}, { closed: true });
  assert.ok(body.querySelector("fieldset").disabled);
  assert.equal(note(), "The cluster is closed. Start another with scnet.dask().");
  update({}, { saved: true });
  assert.ok(body.querySelector("fieldset").disabled);
  assert.equal(note(), "No kernel answers this view any more. Run the cell again.");
  update();
  assert.ok(!body.querySelector("fieldset").disabled);
});
