// Two runs, encoders, seeds or dictionaries side by side.

import { to } from "/address.js";
import { get, query } from "/api.js";
import { className, count, fill, h, number, plural, table } from "/dom.js";
import { palette, Scatter } from "/scatter.js";

const GAPS = { l2m_unbiased: "L2M", rmg: "RMG", separability: "Separability" };

export async function showCompare(view, place) {
  const other = place.asked.get("with") || (place.runs.find((each) => each.key.endsWith("untrained")) || place.runs.find((each) => each.key !== place.run) || place.runs[0]).key;
  let info;
  try {
    info = await place.about(other);
  } catch (error) {
    place.complain(error);
    info = null;
  }
  const fallback = info && (info.sets.find((each) => each.name === place.set && other !== place.run) || info.sets.find((each) => other !== place.run || each.name !== place.set));
  const set = place.asked.get("set") || (fallback ? fallback.name : "");
  const result = h("div", { class: "result" }, h("p", { class: "wait" }, "Comparing …"));
  fill(
    view,
    h("h1", {}, "Compare"),
    h("p", { class: "lede" }, `${place.run.replace("+", " / ")}, ${place.set}, beside another set of features.`),
    h(
      "form",
      { class: "filters", "aria-label": "With what", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Run", h("select", { name: "with", onchange: (event) => (location.hash = place.to("compare", null, { with: event.target.value })) }, place.runs.map((each) => h("option", { value: each.key, selected: each.key === other }, each.key.replace("+", " / "))))),
      h("label", {}, "Features", h("select", { name: "with-set", onchange: (event) => (location.hash = place.to("compare", null, { with: other, set: event.target.value })) }, (info ? info.sets : []).map((each) => h("option", { value: each.name, selected: each.name === set }, each.name)))),
    ),
    result,
  );
  if (!info || !set) {
    fill(result, h("p", {}, "There is nothing to compare with here; give modalens explore several runs."));
    return;
  }
  view.addEventListener(
    "shown",
    async () => {
      try {
        const found = await get("/api/compare" + query({ first: place.run, first_set: place.set, second: other, second_set: set }), place.signal);
        draw(result, place, { run: other, set }, found);
      } catch (error) {
        fill(result);
        place.complain(error);
      }
    },
    { once: true },
  );
}

function draw(box, place, other, found) {
  const names = [`${place.run} ${place.set}`, `${other.run} ${other.set}`];
  const line = (name, ...cells) => h("tr", {}, h("th", { scope: "row" }, name), cells.map((cell) => h("td", {}, cell)));
  const kinds = (what) => [...new Set(found.counts.flatMap((each) => Object.keys(each[what])))];
  const order = [place.modalities[0], "cross", place.modalities[1], "dead"];
  const rows = [
    ...order.map((label) => line(`${className(label)} features`, ...found.counts.map((each) => count(each.label[label] || 0)))),
    ...kinds("verdict").map((name) => line(`verdict ${name}`, ...found.counts.map((each) => count(each.verdict[name] || 0)))),
    ...Object.entries(GAPS).map(([name, said]) => line(said, ...found.gap.map((each) => number(each[name], 3)))),
  ];
  const points = { x: found.points.scores[0], y: found.points.scores[1] };
  const open = (i) => (location.hash = place.to("feature", found.points.first[i]));
  const how =
    found.by === "cosine"
      ? `by the cosine of their decoder rows, at least ${number(found.least)}: both were learned on the same embeddings`
      : `by the correlation of their activations over ${count(found.pairs)} pairs in common, at least ${number(found.least)}: each is the other's most alike`;
  const scatter = new Scatter(points, {
    label: `R of ${found.matched} matched features: ${names[0]} to the right, ${names[1]} upwards.`,
    describe: (i) => `Feature ${found.points.first[i]} (R ${number(points.x[i])}) and feature ${found.points.second[i]} (R ${number(points.y[i])}), ${found.by} ${number(found.points.likeness[i])}`,
    open,
    frame: true,
  });
  fill(
    box,
    h("p", {}, `${count(found.matched)} of ${count(found.live[0])} and ${count(found.live[1])} live features are matched, ${how}. ${found.by === "cosine" ? "With the dimensions of one decoder shuffled" : "With the pairs of one run shuffled"} ${count(found.by_chance)} would be.`),
    h(
      "div",
      { class: "columns" },
      h("section", {}, h("h2", {}, "R against R"), found.matched ? [scatter.element, h("p", { class: "note" }, `To the right ${names[0]}, upwards ${names[1]}, both from 0 (${place.modalities[1]}) to 1 (${place.modalities[0]}). Lines at a third and two thirds part the classes.`)] : h("p", {}, "No feature of one is like a feature of the other.")),
      h("section", {}, h("h2", {}, "Side by side"), table("Classes, verdicts and gap", ["", ...names], rows, "small")),
    ),
    h("h2", {}, found.changed ? `${plural(found.changed, "matched feature")} with another class or verdict` : "No matched feature has another class or verdict"),
    found.changed > 0 &&
      table(
        "Matched features whose class or verdict differs",
        ["Here", "There", "Likeness", "Class", "Verdict", "R"],
        found.moved.map((each) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, h("a", { href: place.to("feature", each.first) }, String(each.first)), each.names[0] && ` ${each.names[0]}`),
            h("td", {}, h("a", { href: to(other.run, other.set, "feature", each.second) }, String(each.second)), each.names[1] && ` ${each.names[1]}`),
            h("td", {}, number(each.likeness)),
            h("td", {}, change(each.labels.map(className))),
            h("td", {}, change(each.verdicts.map((name) => name || "none"))),
            h("td", {}, `${number(each.scores[0])} → ${number(each.scores[1])}`),
          ),
        ),
      ),
    found.moved.length < found.changed && h("p", { class: "note" }, `The ${found.moved.length} farthest apart in R.`),
  );
  if (found.matched) {
    const paint = () => {
      const [same, other] = [palette("cross"), palette("third")];
      const moved = new Set(found.moved.map((each) => each.first));
      scatter.colour((i) => (moved.has(found.points.first[i]) ? other : same));
    };
    paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint, { signal: place.signal });
    scatter.start();
  }
}

const change = ([before, after]) => (before === after ? before : `${before} → ${after}`);
