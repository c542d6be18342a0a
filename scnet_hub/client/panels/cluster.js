// One Dask cluster: why it is where it is, what it costs, its centres and jobs, what happened to them, and its controls.
import { Table, badge, node, noted, plain, put, sentence } from "./base.js";
import { controlsPart } from "./controls.js";
import { framed } from "./frame.js";

/**
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {{ id: string, name: string, size: string, centre: string, tone: string, icon: string, word: string, detail: string,
 *   workers: string, cost: string }} Job
 * @typedef {{ id: string, name: string, asked: string, waiting: string, why: string, running: string, cost: string }} Centre
 * @typedef {{ name: string, why: string, money: string, dashboard: string, centres: Centre[], jobs: Job[], jobs_title: string,
 *   controls: import("./controls.js").Controls, notes: string[] }} Cluster
 */

const FEW = 8; // up to so many jobs are listed at once, more when asked for

export default framed((body, model) => {
  const root = body.appendChild(node("section", "scnet-cluster"));
  const title = root.appendChild(node("h4"));
  const name = title.appendChild(node("span"));
  const link = title.appendChild(node("a", "", "Dashboard"));
  link.target = "_blank";
  link.rel = "noopener";
  const why = root.appendChild(node("p", "scnet-why"));
  const money = root.appendChild(node("p", "scnet-why"));
  const controls = controlsPart(root, model);
  /** @type {Table<Centre>} */
  const centres = new Table(root, "Centres", [
    { head: "Centre", cell: noted((row) => row.name, (row) => row.why) },
    { head: "Asked for", num: true, cell: plain((row) => row.asked) },
    { head: "Waiting", num: true, cell: plain((row) => row.waiting) },
    { head: "Running", num: true, cell: plain((row) => row.running) },
    { head: "Cost", num: true, cell: plain((row) => row.cost) },
  ]);
  const details = root.appendChild(node("details"));
  const head = details.appendChild(node("summary"));
  /** @type {Table<Job>} */
  const jobs = new Table(
    details,
    "Jobs",
    [
      { head: "Job", cell: noted((row) => row.name, (row) => row.size) },
      { head: "Centre", cell: plain((row) => row.centre) },
      { head: "State", cell: badge((row) => row.detail) },
      { head: "Workers", num: true, cell: plain((row) => row.workers) },
      { head: "Cost", num: true, cell: plain((row) => row.cost) },
    ],
    "No jobs: call cluster.scale(1) to request one.",
  );
  const notes = root.appendChild(node("ul"));
  let drawn = false;

  return (/** @type {Shown & { cluster: Cluster }} */ { cluster, closed }, saved) => {
    put(name, `Dask cluster ${cluster.name}`);
    sentence(why, cluster.why);
    sentence(money, cluster.money);
    money.hidden = !cluster.money;
    link.hidden = !cluster.dashboard;
    if (/^(https?:\/\/|\/)/.test(cluster.dashboard)) link.href = cluster.dashboard;
    controls(`cluster ${cluster.name}`, cluster.controls, { closed: Boolean(closed), saved });
    centres.update(cluster.centres);
    if (!drawn) details.open = cluster.jobs.length <= FEW;
    drawn = true;
    details.hidden = Boolean(closed);
    put(head, cluster.jobs_title);
    jobs.update(cluster.jobs);
    if (notes.dataset.text === cluster.notes.join("\n")) return;
    notes.dataset.text = cluster.notes.join("\n");
    notes.replaceChildren(...cluster.notes.map((note) => node("li", "", note)));
  };
});
