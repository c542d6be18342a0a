// The base of the panels: elements, times, cells, the table, and what the frame says of a state's age.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Model, cells, load, page } from "./dom.mjs";

process.env.TZ = "Asia/Shanghai"; // UTC+8, without summer time
const base = await load("base");
const { local } = await load("times");
const { framed, standing } = await load("frame");
const NOW = Date.parse("2026-11-23T12:00:05Z");
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const state = (changes = {}) => ({ summary: "all is well", now: "2026-11-23T12:00:05Z", problem: null, ...changes });
const later = (ms) => standing(state(), NOW + ms);
let body;

beforeEach(() => {
  body = page();
});

// ---- times

test("a duration is in words that a glance takes in", () => {
  const said = { 0: "now", 0.9: "now", 12: "12 s", 59.9: "59 s", 60: "1 min", 2710: "45 min", 3600: "1 h", 11_100: "3 h 5 min", 80_000: "22 h 13 min" };
  for (const [seconds, words] of Object.entries(said)) assert.equal(base.span(Number(seconds)), words);
  assert.equal(base.span(-5), "now");
  assert.equal(base.span(172_800), "2 d");
});

test("a moment is the person's: its time today, its day otherwise", () => {
  assert.equal(base.moment(NOW, NOW), "20:00:05");
  assert.equal(base.moment(NOW - 5 * 86_400 * SECOND, NOW), "18 Nov 20:00");
});

test("times within a sentence are the person's, over midnight and over the year's end", () => {
  const now = new Date("2026-12-31T23:00:00Z");
  assert.equal(local("until 25 Nov 22:30 UTC, then", now), "until 26 Nov 06:30, then");
  assert.equal(local("at 23:30 UTC", now), "at 1 Jan 07:30");
  assert.equal(local("from 1 Jan 02:00 UTC", now), "from 1 Jan 10:00");
  assert.equal(local("8 Abc 02:00 UTC", now), "8 Abc 02:00 UTC");
});

test("a sentence keeps the broker's own words as its tooltip, and none that says the same", () => {
  const target = body.appendChild(base.node("p"));
  base.sentence(target, "until 25 Nov 14:30 UTC");
  assert.deepEqual([target.textContent, target.title], ["until 25 Nov 22:30", "until 25 Nov 14:30 UTC"]);
  base.sentence(target, "for ever");
  assert.deepEqual([target.textContent, target.hasAttribute("title")], ["for ever", false]);
});

test("ages and times left tick from absolute times, and stop at zero", () => {
  const [age, left, none] = ["b", "i", "u"].map((tag) => body.appendChild(base.node(tag)));
  base.timed(age, "since", "2026-11-23T12:00:00Z");
  base.timed(left, "until", "2026-11-23T12:00:35Z");
  base.timed(none, "since", null);
  base.tick(body, NOW);
  assert.deepEqual([age, left, none].map((one) => one.textContent), ["5 s ago", "30 s", "–"]);
  base.tick(body, NOW + MINUTE);
  assert.deepEqual([age, left, none].map((one) => one.textContent), ["1 min ago", "now", "–"]);
});

// ---- cells and the table

const COLUMNS = [
  { head: "Name", cell: base.noted((row) => row.name, (row) => row.note ?? "") },
  { head: "State", cell: base.badge((row) => row.why ?? "") },
  { head: "Cores", num: true, cell: base.plain((row) => String(row.cores)) },
  { head: "", wide: true, num: true, cell: base.clock("since", (row) => row.at ?? null) },
];
const row = (id, changes = {}) => ({ id, name: id, tone: "good", icon: "●", word: "up", cores: 4, ...changes });

test("cells say their row: a note is hidden while it is empty, a state has an icon, a word and a tone", () => {
  const table = new base.Table(body, "Centres", COLUMNS);
  table.update([row("a", { note: "small", why: "since noon" })]);
  assert.deepEqual(cells(table.table), [["Name", "State", "Cores", ""], ["a small", "● up since noon", "4", "–"]]);
  table.update([row("a", { tone: "bad", icon: "■", word: "down" })]);
  assert.deepEqual(cells(table.table)[1], ["a", "■ down", "4", "–"]);
  assert.equal(table.table.querySelector(".scnet-state").className, "scnet-state bad");
  assert.equal(table.table.querySelector(".scnet-state i").getAttribute("aria-hidden"), "true");
});

test("what a person or a centre wrote is text, not markup", () => {
  const table = new base.Table(body, "Centres", COLUMNS);
  table.update([row("<img src=x>", { note: "<b>", why: "</td>", word: "<i>" })]);
  assert.equal(table.table.querySelectorAll("img, b").length, 0);
  assert.equal(cells(table.table)[1][0], "<img src=x> <b>");
});

test("a table has a caption, a head for each column and a row header; a column of buttons is named", () => {
  const { table } = new base.Table(body, "Centres", COLUMNS);
  assert.equal(table.querySelector("caption").textContent, "Centres");
  assert.deepEqual([...table.querySelectorAll("th")].map((one) => [one.getAttribute("scope"), one.className]), [["col", ""], ["col", ""], ["col", "num"], ["col", "num wide"]]);
  assert.equal(table.querySelector("th:last-child").getAttribute("aria-label"), "Action");
});

test("rows come, go and change places; those that stay keep their elements", () => {
  const table = new base.Table(body, "Centres", COLUMNS, "No centres.");
  table.update([row("a"), row("b"), row("c")]);
  const before = Object.fromEntries([...table.table.querySelectorAll("tbody tr")].map((line) => [line.querySelector("span").textContent, line]));
  table.update([row("c"), row("d"), row("a", { cores: 8 })]);
  const lines = [...table.table.querySelectorAll("tbody tr")];
  assert.deepEqual(cells(table.table).slice(1).map((line) => [line[0], line[2]]), [["c", "4"], ["d", "4"], ["a", "8"]]);
  assert.ok(lines[0] === before.c && lines[2] === before.a);
});

test("an update without news moves and rewrites nothing", (t) => {
  const table = new base.Table(body, "Centres", COLUMNS);
  table.update([row("a"), row("b")]);
  const moved = t.mock.method(table.table.querySelector("tbody"), "insertBefore");
  const text = table.table.querySelector("tbody span").firstChild;
  table.update([row("a"), row("b")]);
  assert.equal(moved.mock.callCount(), 0);
  assert.ok(text === table.table.querySelector("tbody span").firstChild);
});

test("a table without rows gives way to its sentence", () => {
  const table = new base.Table(body, "Centres", COLUMNS, "No centres.");
  table.update([]);
  assert.deepEqual([table.table.hidden, table.empty.hidden], [true, false]);
  table.update([row("a")]);
  assert.deepEqual([table.table.hidden, table.empty.hidden], [false, true]);
});

test("a drawing is made anew only if it is another one", () => {
  const target = body.appendChild(base.node("div"));
  base.draw(target, "<svg><title>one</title></svg>");
  const first = target.firstChild;
  base.draw(target, "<svg><title>one</title></svg>");
  assert.ok(target.firstChild === first);
  base.draw(target, "");
  assert.equal(target.children.length, 0);
});

// ---- what the frame says of a state's age

test("a fresh state is dated and nothing else", () => {
  assert.deepEqual(later(3 * SECOND), { stale: false, saved: false, asof: "as of 20:00:05", title: "2026-11-23 12:00:05 UTC" });
});

test("a state that was not confirmed for long is the record of an earlier time: greyed, with its age", () => {
  const old = later(40 * MINUTE);
  assert.deepEqual([old.stale, old.saved, old.asof], [true, true, "as of 20:00:05, 40 min ago: run the cell again for a live view"]);
});

test("facts that could not be refreshed are greyed at once; the rest may still be pressed", () => {
  const how = standing(state({ problem: { title: "No answer.", hint: "Wait.", stale: true } }), NOW + SECOND);
  assert.deepEqual([how.stale, how.saved, how.asof], [true, false, "as of 20:00:05, not updated since"]);
});

test("a refusal greys nothing", () => {
  const how = standing(state({ problem: { title: "Not stopped.", hint: "" } }), NOW + SECOND);
  assert.deepEqual([how.stale, how.saved, how.asof], [false, false, "as of 20:00:05"]);
});

test("a view without a kernel is a record from the first moment on, unless it was closed on purpose", () => {
  assert.deepEqual([standing(state(), NOW, true).saved, standing(state(), NOW, true).stale], [true, true]);
  const closed = standing(state({ closed: true }), NOW + 9 * MINUTE, true);
  assert.deepEqual([closed.saved, closed.stale, closed.asof], [false, false, "as of 20:00:05"]);
});

test("before the first answer there is no time to show", () => {
  const how = standing(state({ now: null, problem: { title: "No answer.", hint: "", stale: true } }), NOW);
  assert.deepEqual([how.saved, how.asof, how.title], [false, "no answer yet", ""]);
});

// ---- the frame

const ENDED = [];
function shown(given, el = body) {
  const drawn = [];
  const widget = framed(() => (fresh) => drawn.push(fresh.summary));
  const model = new Model(given);
  const leave = widget.render({ model, el });
  ENDED.push(leave);
  return { widget, model, leave, drawn, root: el.querySelector(".scnet") };
}
const fresh = (changes = {}) => state({ now: new Date().toISOString(), ...changes });
afterEach(() => ENDED.splice(0).forEach((leave) => leave()));

test("the head says the summary once for eyes and once for ears, and the panel draws each state", () => {
  const { model, drawn, root } = shown(fresh());
  model.news(fresh({ summary: "still well" }));
  assert.deepEqual(drawn, ["all is well", "still well"]);
  assert.equal(root.querySelector(".scnet-summary").textContent, "still well");
  assert.equal(root.querySelector("[role=status]").textContent, "all is well", "a screen reader is not interrupted within ten seconds");
});

test("a problem is a sentence with its hint; it goes when the next state has none", () => {
  const { model, root } = shown(fresh({ problem: { title: "The broker does not answer.", hint: "Wait a minute.", stale: true } }));
  const said = root.querySelector(".scnet-problem");
  assert.deepEqual([said.hidden, said.textContent], [false, "The broker does not answer. Wait a minute."]);
  assert.ok(root.classList.contains("is-stale"));
  model.news(fresh());
  assert.deepEqual([said.hidden, root.classList.contains("is-stale")], [true, false]);
});

test("in a page without a kernel the panel is marked as saved, so that nothing in it can be pressed", () => {
  const cell = body.appendChild(base.node("div", "jupyter-widgets-disconnected"));
  const { root } = shown(fresh(), cell);
  assert.ok(root.classList.contains("is-saved") && root.classList.contains("is-stale"));
});

test("a broker whose clock differs from the browser's does not make every state old", () => {
  const { model, root } = shown(fresh());
  model.news(fresh({ now: new Date(Date.now() - 3_600_000).toISOString() }));
  assert.equal(root.classList.contains("is-stale"), false);
});

test("the kernel hears that a panel is visible, and that its last view is gone", () => {
  const { widget, model, leave } = shown(fresh());
  const second = widget.render({ model, el: body });
  leave();
  assert.deepEqual(model.sent, [{ say: "here" }, { say: "here" }]);
  second();
  ENDED.length = 0;
  assert.deepEqual(model.sent.at(-1), { say: "gone" });
  assert.equal(model.heard.size, 0);
});
