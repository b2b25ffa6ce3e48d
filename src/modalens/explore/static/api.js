// Requests to the explorer. What writes or embeds carries the token of the address that `modalens explore` printed.

const token = new URLSearchParams(location.search).get("token") || "";

export class Refused extends Error {
  constructor(sentence, status, changed) {
    super(sentence);
    this.status = status;
    this.changed = Boolean(changed);
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The explorer does not answer; it may have ended. Start modalens explore again.", 0);
  }
  let values = null;
  try {
    values = await answer.json();
  } catch {
    throw new Refused(`The explorer's answer cannot be read (${answer.status}).`, answer.status);
  }
  if (!answer.ok) throw new Refused(values.error || `The explorer refused this (${answer.status}).`, answer.status, values.changed);
  return values;
}

export const get = (path, signal) => ask(path, { signal });

export const post = (path, values, signal) =>
  ask(path, {
    method: "POST",
    signal,
    headers: { "content-type": "application/json", "x-modalens-token": token },
    body: JSON.stringify(values),
  });

export const upload = (path, file) =>
  ask(path, { method: "POST", headers: { "content-type": "application/octet-stream", "x-modalens-token": token }, body: file });

export const query = (values) => {
  const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  return kept.length ? "?" + new URLSearchParams(kept.map(([name, value]) => [name, value === true ? "1" : value])) : "";
};
