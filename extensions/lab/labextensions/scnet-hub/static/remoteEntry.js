// JupyterLab's part of a session's life: shows the time left in the status bar, warns before the end, offers Continue and Keep.
//
// It is a prebuilt extension written by hand: a container like those of webpack's module federation, so that no build is
// needed. It queries the session's own server (scnet_hub/node/steward.py) and decides only what to show, once per session.
(function () {
  "use strict";

  const NAME = "scnet-hub";
  const KEPT = `${NAME}:said`; // messages already shown, by session: a reload or a second tab does not repeat them
  const NEXT = `${NAME}:continued`; // the session that this page was reloaded from
  const LONGEST_WAIT_S = 60;
  let scope = null;

  // ---- words and decisions

  function span(seconds) {
    if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60);
    if (hours >= 48) return `${Math.floor(hours / 24)} d`;
    return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  }

  function clock(seconds) {
    return new Date(Date.now() + seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }

  // Returns the level that was crossed last, if no message about it was shown yet; earlier levels need no message.
  function levelToSay(left, levels, said) {
    if (left === null || left <= 0) return null;
    const crossed = levels.filter((level) => left <= level);
    return crossed.length && !said(`left-${Math.min(...crossed)}`) ? Math.min(...crossed) : null;
  }

  function where(successor) {
    const centre = successor.centre_name || successor.centre || "its centre";
    if (successor.state === "ready") return `The next session is ready at ${centre}.`;
    const waits = ["intent", "submitted", "queued"].includes(successor.state);
    return waits ? `The next session waits in the queue of ${centre}.` : `The next session is starting at ${centre}.`;
  }

  // Keeps the shown messages in the browser's storage, only those of this session.
  function memory(session) {
    const read = () => {
      try {
        const kept = JSON.parse(localStorage.getItem(KEPT) || "{}");
        return kept.session === session ? kept.said : [];
      } catch {
        return [];
      }
    };
    return {
      has: (what) => read().includes(what),
      add(what) {
        try {
          localStorage.setItem(KEPT, JSON.stringify({ session, said: [...read(), what].slice(-100) }));
        } catch {
          // a browser without storage: messages are repeated after a reload
        }
      },
    };
  }

  // ---- the extension

  function plugin(application, apputils, docmanager, services, statusbar, widgets) {
    const { Notification } = apputils;

    function activate(app, documents, palette, bar) {
      const settings = app.serviceManager.serverSettings;
      let local = (text) => text; // puts times within the broker's sentences into the person's zone
      const status = new widgets.Widget({ node: document.createElement("button") });
      let first = ""; // the session that this page belongs to
      let told = null;
      let kept = null;
      let left = null; // { at, seconds }
      let paid = null; // the same, until credits run out; null: they last
      let saving = false;
      let touched = true; // the page was used since the last query
      const toast = { walltime: "", idle: "", next: "", credits: "" };
      let timer = 0;

      // -- the server

      async function call(path, method = "GET") {
        const answer = await services.ServerConnection.makeRequest(`${settings.baseUrl}scnet/${path}`, { method }, settings);
        const document = await answer.json().catch(() => ({}));
        if (!answer.ok) throw Object.assign(new Error(document.title || `The server answered ${answer.status}.`), { status: answer.status, hint: document.hint || "" });
        return document;
      }

      async function look() {
        clearTimeout(timer);
        const here = touched;
        touched = false;
        try {
          take(await call(`session${here ? "?here=1" : ""}`));
        } catch (error) {
          touched = touched || here;
          if (told?.successor && [401, 403].includes(error.status)) return moveOn(); // the next session answers, but does not know this login yet
          if (paid && secondsOf(paid) < 0) say("credits-over", `This session was stopped because credits ran out. ${told.lease.why}`, "error");
        }
        const again = Math.min(told?.again_s || 30, LONGEST_WAIT_S);
        timer = setTimeout(look, again * 1000);
      }

      function take(document) {
        if (first && document.session !== first) return moveOn();
        first = document.session;
        told = document;
        kept = kept || memory(first);
        left = document.left_s === null ? null : { at: performance.now(), seconds: document.left_s };
        paid = document.lease ? { at: performance.now(), seconds: document.lease.stops_in_s } : null;
        show();
        saveInTime();
      }

      // -- showing

      const secondsOf = (one) => (one ? one.seconds - (performance.now() - one.at) / 1000 : null);
      const secondsLeft = () => secondsOf(left); // of the walltime

      function show() {
        if (!told) return;
        const now = secondsLeft();
        const ends = paid ? Math.min(now ?? Infinity, secondsOf(paid)) : now;
        const soon = ends !== null && ends <= Math.max(...told.levels_s);
        const stops = told.idle.stops_in_s;
        status.node.textContent = ends === null ? "" : ends > 0 ? `${span(ends)} left` : "Session ends";
        status.node.hidden = ends === null;
        status.node.style.color = soon && !told.successor?.live ? "var(--jp-warn-color0)" : "";
        status.node.style.fontWeight = soon && !told.successor?.live ? "600" : "";
        status.node.title = paid ? `Credits run out: this session ends at ${clock(ends)}. ${told.lease.why}` : now === null ? "" : `This session ends at ${clock(now)}. Press to continue in a next session.`;
        if (told.stopping) return say("stopping", told.stopping, "error");
        for (const one of told.warnings.filter((each) => each.code !== "credits")) say(`${one.code} ${one.message}`, local(one.message), "warning");
        showCredits();
        if (told.successor?.live) return showNext();
        if (told.successor && toast.next) showThatItFailed();
        const level = levelToSay(now, told.levels_s, kept.has);
        if (level !== null) {
          const words = `This session ends in ${span(now)}, with its kernels. Continue saves your documents and starts the next session in the same folder.`;
          if (toast.walltime) Notification.dismiss(toast.walltime);
          toast.walltime = say(`left-${level}`, words, level === Math.min(...told.levels_s) ? "error" : "warning", [continueAction()]);
        }
        showIdle(stops);
      }

      // Shows the broker's sentence, which changes in the last minutes; removed when credits last again.
      function showCredits() {
        const one = told.warnings.find((each) => each.code === "credits");
        if (toast.credits && (!one || !kept.has(`credits ${one.message}`))) {
          Notification.dismiss(toast.credits);
          toast.credits = "";
        }
        if (one) toast.credits = say(`credits ${one.message}`, local(one.message), paid && secondsOf(paid) <= told.lease.saves_at_s ? "error" : "warning") || toast.credits;
      }

      function showIdle(stops) {
        if (stops === null) {
          if (toast.idle) Notification.dismiss(toast.idle);
          toast.idle = "";
          return;
        }
        const words = `This session has been idle for ${span(told.idle.idle_s)} and will stop in ${span(stops)}, to free its place for others.`;
        if (toast.idle) Notification.update({ id: toast.idle, message: words });
        else toast.idle = Notification.emit(words, "warning", { autoClose: false, actions: [keepAction()] });
      }

      function showNext() {
        const words = where(told.successor);
        for (const name of ["walltime", "idle"]) {
          if (toast[name]) Notification.dismiss(toast[name]);
          toast[name] = "";
        }
        if (toast.next) Notification.update({ id: toast.next, message: `${words} This page follows automatically.`, type: "in-progress", actions: [] });
        else toast.next = Notification.emit(`${words} This page follows automatically.`, "in-progress", { autoClose: false });
        saveAll();
      }

      function showThatItFailed() {
        const message = `The next session ended before it was ready${told.successor.end_reason ? `: ${told.successor.end_reason.split("\n")[0]}` : "."}`;
        Notification.update({ id: toast.next, message, type: "error", actions: [continueAction()] });
        toast.next = "";
      }

      // Shows a message once per session; returns the id of its notification, "" if it was shown before.
      function say(what, words, type, actions = []) {
        if (kept.has(what)) return "";
        kept.add(what);
        return Notification.emit(words, type, { autoClose: false, actions });
      }

      // -- continuing

      const continueAction = () => ({ label: "Continue", caption: "Save all documents and start the next session", displayType: "accent", callback: () => void goOn() });
      const keepAction = () => ({ label: "Keep it running", caption: "Count the session as just used", displayType: "accent", callback: () => void keep() });

      function open() {
        const contexts = new Map();
        for (const widget of app.shell.widgets("main")) {
          const context = documents.contextForWidget(widget);
          if (context) contexts.set(context.path, context);
        }
        return [...contexts.values()].filter((one) => one.model?.dirty && one.contentsModel?.writable !== false);
      }

      // Saves the changed documents; returns the names of those that could not be saved.
      async function saveAll() {
        const each = await Promise.all(open().map((one) => one.save().then(() => !one.model.dirty, () => false).then((done) => (done ? "" : one.path))));
        return each.filter(Boolean);
      }

      // Saves changed documents repeatedly before credits run out, whether a person is at the page or not.
      async function saveInTime() {
        if (!paid || saving || secondsOf(paid) > told.lease.saves_at_s || !open().length) return;
        saving = true;
        const lost = await saveAll();
        saving = false;
        if (lost.length) say(`credits-unsaved ${lost}`, `Not saved: ${lost.slice(0, 3).join(", ")}. Save it elsewhere, or download it, before this session is stopped.`, "error");
      }

      async function goOn({ unsaved = false } = {}) {
        const id = Notification.emit("Saving your documents…", "in-progress", { autoClose: false });
        const lost = await saveAll();
        if (lost.length && !unsaved) {
          const actions = [{ label: "Continue anyway", displayType: "warn", callback: () => void goOn({ unsaved: true }) }, continueAction()];
          return Notification.update({ id, message: `Not saved: ${lost.slice(0, 3).join(", ")}. The session was not continued.`, type: "error", actions });
        }
        toast.next = id;
        try {
          take(await call("continue", "POST"));
          look();
        } catch (error) {
          toast.next = "";
          Notification.update({ id, message: `${error.message} ${error.hint || ""}`.trim(), type: "error", actions: [continueAction()] });
        }
      }

      async function keep() {
        toast.idle = "";
        try {
          take(await call("keep", "POST"));
        } catch (error) {
          Notification.emit(error.message, "error", { autoClose: false, actions: [keepAction()] });
        }
      }

      // Reloads the page, which opens in the next session with the same documents: that session answers at this address.
      function moveOn() {
        sessionStorage.setItem(NEXT, first);
        window.location.reload();
      }

      // -- in Lab

      /** @type {Record<string, [string, () => Promise<unknown>]>} */
      const commands = { "scnet:continue": ["Continue in a Next Session", goOn], "scnet:keep": ["Keep This Session Running", keep] };
      for (const [id, [label, execute]] of Object.entries(commands)) {
        app.commands.addCommand(id, { label, execute: () => execute() });
        palette?.addItem({ command: id, category: "SCNet Hub" });
      }
      status.id = "scnet-time-left";
      status.addClass("jp-mod-minimal");
      status.addClass("scnet-time-left");
      status.node.style.cssText = "background:none;border:0;padding:0 6px;font:inherit;color:inherit;cursor:pointer";
      status.node.addEventListener("click", () => {
        if (told?.successor?.live) return showNext();
        const now = secondsLeft();
        const words = `This session ends${now === null ? "" : ` at ${clock(now)}`}. Continue saves your documents and starts the next session.`;
        Notification.emit(words, "info", { autoClose: 20000, actions: [continueAction()] });
      });
      bar?.registerStatusItem(status.id, { item: status, align: "right", rank: 1, isActive: () => true });
      for (const event of ["keydown", "pointerdown", "wheel"]) document.addEventListener(event, () => (touched = true), { capture: true, passive: true });
      document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
      setInterval(() => {
        if (document.visibilityState === "visible") show();
        saveInTime();
      }, 10000);
      const times = import(`${settings.baseUrl}scnet/times.js`).then((module) => (local = module.local), () => {}); // without it sentences keep UTC
      Promise.all([app.restored, times]).then(look).then(() => {
        const before = sessionStorage.getItem(NEXT);
        sessionStorage.removeItem(NEXT);
        if (before && told && before !== first) Notification.emit(`You are in the next session now${left ? `, until ${clock(secondsLeft())}` : ""}.`, "success", { autoClose: 10000 });
      });
    }

    return {
      id: "scnet-hub:session",
      description: "Shows how long this session may still run, continues it, and warns before it stops as idle.",
      autoStart: true,
      requires: [docmanager.IDocumentManager],
      optional: [apputils.ICommandPalette, statusbar.IStatusBar],
      activate,
    };
  }

  // ---- the container

  async function shared(name) {
    const versions = Object.values(scope[name] || {});
    if (!versions.length) throw new Error(`${NAME}: this JupyterLab shares no ${name}`);
    return (await (versions.find((one) => one.loaded) || versions[versions.length - 1]).get())();
  }

  const modules = {
    "./extension": async () => {
      const names = ["@jupyterlab/application", "@jupyterlab/apputils", "@jupyterlab/docmanager", "@jupyterlab/services", "@jupyterlab/statusbar", "@lumino/widgets"];
      const made = plugin(...(await Promise.all(names.map(shared))));
      return () => ({ __esModule: true, default: made });
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init: (given) => {
      scope = given;
    },
    get: (module) => (modules[module] ? modules[module]() : Promise.reject(new Error(`${NAME} has no ${module}`))),
  };
})();
