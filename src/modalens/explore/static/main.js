// Addresses, the header, and which view shows what an address names.

import { address, to } from "/address.js";
import { get, post, Refused } from "/api.js";
import { fill, h, runName, say } from "/dom.js";
import { showCompare } from "/compare.js";
import { showFeature } from "/feature.js";
import { showFeatures } from "/features.js";
import { showMap } from "/map.js";
import { showOwn } from "/own.js";
import { showPair } from "/pair.js";
import { showSteer } from "/steer.js";

const VIEWS = {
  features: ["Features", showFeatures],
  pair: ["Pairs", showPair],
  map: ["Map", showMap],
  steer: ["Steer", showSteer],
  compare: ["Compare", showCompare],
  feature: [null, showFeature],
  own: [null, showOwn],
};
const main = document.getElementById("main");
const notice = document.getElementById("notice");
const state = { runs: [], known: new Map(), left: null };

async function about(run) {
  if (!state.known.has(run)) state.known.set(run, await get(`/api/${encodeURIComponent(run)}`));
  return state.known.get(run);
}

function complain(error) {
  if (error.name === "AbortError") return;
  const sentence = error instanceof Refused ? error.message : "Something on this page failed; load it again.";
  if (!(error instanceof Refused)) console.error(error);
  const run = address().run;
  fill(
    notice,
    h("p", {}, sentence),
    error.changed && h("button", { type: "button", onclick: () => reopen(run) }, "Open it again"),
    h("button", { type: "button", onclick: () => (notice.hidden = true) }, "Close"),
  );
  notice.hidden = false;
}

async function reopen(run) {
  try {
    await post(`/api/${encodeURIComponent(run)}/open`, {});
    state.known.delete(run);
    notice.hidden = true;
    await show();
  } catch (error) {
    complain(error);
  }
}

function chooseOf(run) {
  fill(document.getElementById("run"), state.runs.map((each) => h("option", { value: each.key, selected: each.key === run }, runName(state.runs, each))));
  for (const id of ["set", "views"]) fill(document.getElementById(id));
}

function header(place) {
  const sets = document.getElementById("set");
  fill(sets, place.info.sets.map((each) => h("option", { value: each.name, selected: each.name === place.set }, `${each.name} (${each.features.toLocaleString("en")})`)));
  const here = place.view === "feature" || place.view === "own" ? "features" : place.view;
  fill(
    document.getElementById("views"),
    Object.entries(VIEWS)
      .filter(([, [name]]) => name)
      .map(([view, [name]]) => h("li", {}, h("a", { href: to(place.run, place.set, view), "aria-current": view === here ? "page" : null }, name))),
  );
}

// Who goes on by keyboard goes on from the same field of the new view, or from its start.
function keepFocus(before, shown) {
  if (!before || before === document.body || document.body.contains(before)) return;
  const same = before.name && shown.querySelector(`[name="${CSS.escape(before.name)}"]`);
  (same || main).focus({ preventScroll: true });
}

async function show() {
  const asked = address();
  const focused = document.activeElement;
  if (state.left) state.left.abort();
  const left = (state.left = new AbortController());
  const slow = h("p", { class: "wait", role: "status" }, "Reading the run; what is looked at for the first time is indexed first …");
  const waiting = setTimeout(() => main.prepend(slow), 700);
  notice.hidden = true;
  try {
    if (!state.runs.length) state.runs = (await get("/api/runs")).runs;
    const run = asked.run || state.runs[0].key;
    chooseOf(run); // so that one gets away from a run that cannot be shown
    const info = await about(run);
    const set = asked.set || info.sets[0].name;
    if (!asked.run || !asked.set) {
      history.replaceState(null, "", location.pathname + location.search + to(run, set, asked.view, asked.item, asked.asked));
    }
    const view = Object.hasOwn(VIEWS, asked.view) ? asked.view : "features";
    const place = {
      ...asked,
      run,
      set,
      view,
      info,
      runs: state.runs,
      about,
      modalities: info.modalities,
      here: info.sets.find((each) => each.name === set) || info.sets[0],
      signal: left.signal,
      api: (path, name = set) => `/api/${encodeURIComponent(run)}/${encodeURIComponent(name)}/${path}`,
      to: (where, item, more) => to(run, set, where, item, more),
      complain,
      // A change of filters is the same view: the address changes, nothing is drawn anew.
      remember: (more) => history.replaceState(null, "", location.pathname + location.search + to(run, set, view, asked.item, more)),
    };
    header(place);
    main.setAttribute("aria-busy", "true");
    const shown = h("div", { class: `view ${view}` });
    await VIEWS[view][1](shown, place);
    if (left.signal.aborted) return;
    fill(main, info.stand_ins && h("p", { class: "warning" }, "Stand-ins took the place of models and data: the numbers mean nothing."), shown);
    keepFocus(focused, shown);
    const title = shown.querySelector("h1");
    document.title = `${title ? title.textContent : "Explorer"} – ${run} – modalens`;
    say(title ? title.textContent : "");
    shown.dispatchEvent(new CustomEvent("shown"));
  } catch (error) {
    if (!left.signal.aborted && error.name !== "AbortError") {
      fill(main, h("h1", {}, "This cannot be shown"), h("p", {}, "The sentence above says why."));
      document.title = "This cannot be shown – modalens";
      complain(error);
    }
  } finally {
    clearTimeout(waiting);
    slow.remove();
    if (state.left === left) main.removeAttribute("aria-busy");
  }
}

document.getElementById("run").addEventListener("change", (event) => (location.hash = to(event.target.value)));
document.getElementById("set").addEventListener("change", (event) => {
  const { run, view } = address();
  location.hash = to(run || state.runs[0].key, event.target.value, view === "feature" || view === "own" ? "features" : view);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  scrollTo(0, 0);
  show();
});
document.getElementById("where").addEventListener("submit", (event) => event.preventDefault());
show();
