// One clock: every <time datetime> of a page in the zone of the person's browser, with the federation's zone in the tooltip.
// Without this script the page says each time in the federation's zone, or in UTC where it says so.
(function () {
  "use strict";
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const theirs = document.querySelector('meta[name="scnet-zone"]')?.getAttribute("content") || "UTC";
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const SENTENCE = /\b(?:(\d{1,2}) ([A-Z][a-z]{2}) )?(\d{2}):(\d{2}) UTC\b/g; // how the broker writes a time in a sentence

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

  // The instant that a sentence means: of its day the year that lies nearest; without a day it is today's in UTC.
  function instant(day, month, hour, minute) {
    const now = new Date();
    const made = (year) => Date.UTC(year, month ? MONTHS.indexOf(month) : now.getUTCMonth(), day || now.getUTCDate(), hour, minute);
    const years = month ? [-1, 0, 1].map((more) => made(now.getUTCFullYear() + more)) : [made(now.getUTCFullYear())];
    return new Date(years.sort((a, b) => Math.abs(a - now.getTime()) - Math.abs(b - now.getTime()))[0]);
  }

  function words(text) {
    if (mine === "UTC") return text;
    return text.replace(SENTENCE, (whole, day, month, hour, minute) => {
      if (month && !MONTHS.includes(month)) return whole;
      return said(instant(day, month, hour, minute), "minute", mine);
    });
  }

  // A cell of sentences: the person's clock in the text, the broker's own words in the tooltip.
  function sentence(node, text) {
    const shown = words(text);
    if (node.textContent !== shown) node.textContent = shown;
    if (shown !== text) node.title = text;
    else node.removeAttribute("title");
  }

  document.querySelectorAll("time[datetime]").forEach(element);
  document.querySelectorAll("[data-sentence]").forEach((node) => sentence(node, node.textContent));
  document.querySelectorAll("[data-zone-note]").forEach((node) => {
    node.title = `Days and months of the books are those of ${theirs}.`;
    node.textContent = `times of your zone, ${mine}`;
  });
  window.scnetTimes = { element, words, sentence, said };
})();
