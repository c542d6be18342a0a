// Times within the broker's sentences, in the person's zone: for panels, for the hub's pages (scnet-times.js) and for JupyterLab
// (remoteEntry.js), which get this file from the hub and from the session's server.

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const two = (/** @type {number} */ number) => String(number).padStart(2, "0");

/**
 * Returns the text with its times in the person's zone. The broker writes "23 Nov 14:05 UTC", or "14:05 UTC" for today; a day without a year
 * means the year that lies nearest.
 * @param {string} text
 */
export function local(text, now = new Date()) {
  if ((Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC") === "UTC") return text;
  return text.replace(/\b(?:(\d{1,2}) ([A-Z][a-z]{2}) )?(\d{2}):(\d{2}) UTC\b/g, (whole, day, month, hour, minute) => {
    if (month && !MONTHS.includes(month)) return whole;
    const of = (/** @type {number} */ year) =>
      Date.UTC(year, month ? MONTHS.indexOf(month) : now.getUTCMonth(), Number(day ?? now.getUTCDate()), Number(hour), Number(minute));
    const years = month ? [-1, 0, 1].map((more) => of(now.getUTCFullYear() + more)) : [of(now.getUTCFullYear())];
    const [nearest] = years.sort((a, b) => Math.abs(a - now.getTime()) - Math.abs(b - now.getTime()));
    const at = new Date(nearest ?? 0);
    return `${at.getDate()} ${MONTHS[at.getMonth()]} ${two(at.getHours())}:${two(at.getMinutes())}`;
  });
}
