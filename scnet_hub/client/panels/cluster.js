// One Dask cluster: why it is where it is, its jobs, and what happened to them.
import { Table, badge, node, noted, plain, put } from "./base.js";
import { framed } from "./frame.js";

/**
 * @typedef {import("./base.js").Shown} Shown
 * @typedef {{ id: string, name: string, size: string, centre: string, tone: string, icon: string, word: string, detail: string,
 *   workers: string, cost: string }} Job
 * @typedef {{ name: string, why: string, dashboard: string, jobs: Job[], notes: string[] }} Cluster
 */

export default framed((body) => {
  const root = body.appendChild(node("section", "scnet-cluster"));
  const title = root.appendChild(node("h4"));
  const name = title.appendChild(node("span"));
  const link = title.appendChild(node("a", "", "Dashboard"));
  link.target = "_blank";
  link.rel = "noopener";
  const why = root.appendChild(node("p", "scnet-why"));
  /** @type {Table<Job>} */
  const jobs = new Table(
    root,
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

  return (/** @type {Shown & { cluster: Cluster }} */ { cluster, closed }) => {
    put(name, `Dask cluster ${cluster.name}`);
    put(why, cluster.why);
    link.hidden = !cluster.dashboard;
    if (/^(https?:\/\/|\/)/.test(cluster.dashboard)) link.href = cluster.dashboard;
    jobs.update(cluster.jobs);
    if (closed) jobs.empty.hidden = true;
    if (notes.dataset.text === cluster.notes.join("\n")) return;
    notes.dataset.text = cluster.notes.join("\n");
    notes.replaceChildren(...cluster.notes.map((note) => node("li", "", note)));
  };
});
