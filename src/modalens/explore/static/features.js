// The table of features: filters, words, order, pages.

import { get, query } from "/api.js";
import { className, count, featureLink, fill, h, number, percent, plural, plurals, rate, scoreBar, table, tag, verdict } from "/dom.js";
import { ownSearch } from "/search.js";

const PAGE = 50;
const NAMES = ["words", "label", "verdict", "certainty", "mono", "found", "named", "sort", "descending", "start"];

export async function showFeatures(view, place) {
  const asked = Object.fromEntries(NAMES.map((name) => [name, place.asked.get(name) || ""]));
  const list = h("div", { class: "list" });
  const [first, second] = place.modalities;
  const seeds = { any: false };
  const choose = (name, label, options) =>
    h("label", {}, label, h("select", { name }, options.map(([value, text]) => h("option", { value, selected: asked[name] === value }, text))));
  const tick = (name, label) => h("label", { class: "tick" }, h("input", { type: "checkbox", name, value: "1", checked: asked[name] === "1" }), label);
  const words = h("input", { type: "search", name: "words", value: asked.words, placeholder: "in names and captions", autocomplete: "off" });
  const form = h(
    "form",
    { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    h("label", {}, "Words", words),
    choose("label", "Class", [["", "all live"], [first, first], ["cross", className("cross")], [second, second], ["dead", "dead"]]),
    choose("verdict", "Verdict", [["", "any"], ["split", "split"], ["private", "private"], ["unclear", "unclear"]]),
    choose("certainty", "Certainty", [["", "any"], ["0.5", "at least 50 %"], ["0.9", "at least 90 %"], ["0.99", "at least 99 %"]]),
    tick("found", "found again by every other seed"),
    tick("named", "with a name that stands"),
  );
  // Arrows walk down and up the rows.
  list.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = [...list.querySelectorAll("tbody th a")];
    const at = links.indexOf(event.target);
    if (!by || at < 0 || !links[at + by]) return;
    event.preventDefault();
    links[at + by].focus();
  });

  let waiting;
  const changed = () => {
    for (const name of ["words", "label", "verdict", "certainty"]) asked[name] = form.elements[name].value;
    for (const name of ["found", "named"]) asked[name] = form.elements[name].checked ? "1" : "";
    asked.start = "";
    load();
  };
  form.addEventListener("change", changed);
  words.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, 200);
  });

  let turn = 0;
  async function load() {
    const mine = ++turn;
    place.remember(Object.fromEntries(Object.entries(asked).filter(([, value]) => value)));
    try {
      const found = await get(place.api("features") + query(asked), place.signal);
      if (mine === turn) draw(found);
    } catch (error) {
      place.complain(error);
    }
  }

  const sorts = [
    ["feature", "Feature"],
    ["label", "Class"],
    ["score", "R"],
    ["certainty", "Certainty", "extra"],
    ["verdict", "Verdict"],
    ["mono", "Mono", "extra"],
    ["rate_image", `Fires, ${plurals(first)}`, "extra"],
    ["rate_text", `Fires, ${plurals(second)}`, "extra"],
    ["found", "Found again", "extra"],
  ];
  const head = ([name, label, extra]) => {
    const sorted = (asked.sort || "feature") === name;
    const down = asked.descending === "1";
    return h(
      "th",
      { scope: "col", class: extra || null, "aria-sort": sorted ? (down ? "descending" : "ascending") : null },
      h(
        "button",
        {
          type: "button",
          "data-sort": name,
          onclick: async () => {
            asked.descending = sorted ? (down ? "" : "1") : ["feature", "label", "verdict"].includes(name) ? "" : "1";
            asked.sort = name;
            asked.start = "";
            await load();
            list.querySelector(`[data-sort=${name}]`)?.focus();
          },
        },
        label,
      ),
    );
  };
  const line = (row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, featureLink(place, row.feature, row.name)),
      h("td", {}, tag(place, row.label)),
      h("td", { class: "bar-cell" }, scoreBar(place, row)),
      h("td", { class: "extra" }, percent(row.certainty)),
      h("td", {}, verdict(place, row)),
      h("td", { class: "extra" }, number(row.mono)),
      h("td", { class: "extra" }, rate(row.rate_image)),
      h("td", { class: "extra" }, rate(row.rate_text)),
      h("td", { class: "extra" }, row.seeds ? (row.found < 0 ? "—" : `${row.found} of ${row.seeds}`) : "—"),
    );
  const move = (start, label, off) =>
    h("button", { type: "button", disabled: off, onclick: () => { asked.start = String(start); load(); list.scrollIntoView(); } }, label);

  function draw(found) {
    const last = found.start + found.features.length;
    seeds.any = found.features.some((row) => row.seeds);
    fill(
      list,
      h("p", { class: "how-many", role: "status" }, found.total ? `${count(found.start + 1)}–${count(last)} of ${count(found.total)} features` : "No feature fits these filters."),
      found.total > 0 && table("Features", sorts.map(head), found.features.map(line), "features-table"),
      found.total > PAGE &&
        h("div", { class: "pages" }, move(found.start - PAGE, "Previous", found.start === 0), move(found.start + PAGE, "Next", last >= found.total)),
    );
  }

  const info = place.here;
  fill(
    view,
    h("h1", {}, `${count(info.features)} features of ${info.name}`),
    h(
      "p",
      { class: "lede" },
      `R says which side drives a feature: 1 the ${first}, 0 the ${second}. The bar is its 95 % interval over ${count(info.scored)}${info.split ? ` ${info.split}` : ""} pairs; certainty is the share of resamples that give the same class.`,
    ),
    ownSearch(place),
    form,
    list,
    place.info.left_out.length > 0 &&
      h("details", { class: "left-out" }, h("summary", {}, `${plural(place.info.left_out.length, "set")} of features of this run cannot be shown`), h("dl", { class: "facts" }, place.info.left_out.map((each) => h("div", {}, h("dt", {}, each.name), h("dd", {}, each.why))))),
  );
  draw(await get(place.api("features") + query(asked), place.signal));
}
