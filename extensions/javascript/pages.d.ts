// What the scripts of the hub's pages and of the Lab extension find in their window, and in their pages: HTML and nothing else.

interface ParentNode {
  querySelector<K extends keyof HTMLElementTagNameMap>(selectors: K): HTMLElementTagNameMap[K] | null;
  querySelector<E extends HTMLElement = HTMLElement>(selectors: string): E | null;
  querySelectorAll<E extends HTMLElement = HTMLElement>(selectors: string): NodeListOf<E>;
}

interface Window {
  /** scnet-times.js, which a page loads before its other scripts. */
  scnetTimes: { sentence(node: HTMLElement, text: string): void; apply(root: ParentNode): void };
  /** JupyterHub's own tests wait for it. */
  _jupyterhub_page_loaded: boolean;
  /** The containers of JupyterLab's extensions, as webpack's module federation makes them. */
  _JUPYTERLAB: Record<string, { init(scope: object): void; get(module: string): Promise<() => object> }>;
}
