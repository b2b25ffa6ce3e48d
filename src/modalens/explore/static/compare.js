// Two runs, encoders, seeds or dictionaries side by side.

import { to } from "/address.js";
import { get, query } from "/api.js";
import { className, count, fill, h, number, percent, plural, runName, table } from "/dom.js";
import { palette, Scatter } from "/scatter.js";

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
      h("label", {}, "Run", h("select", { name: "with", onchange: (event) => (location.hash = place.to("compare", null, { with: event.target.value })) }, place.runs.map((each) => h("option", { value: each.key, selected: each.key === other }, runName(place.runs, each))))),
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

const WAYS = { "decoder rows": "the cosine of their decoder rows", activations: "the correlation of their activations", dimension: "their dimension" };

function draw(box, place, other, found) {
  const names = found.models.map((each) => each.replace("+", " / "));
  const couple = found.couple && found.couple.matched ? found.couple : null;
  fill(
    box,
    h("p", {}, sentence(found), found.seeds && ` ${overSeeds(found.seeds)}`),
    found.notes.map((each) => h("p", { class: "note" }, each)),
    h(
      "div",
      { class: "columns" },
      h("section", {}, h("h2", {}, "R against R"), couple ? "" : h("p", {}, "There are no matched features to show.")),
      h("section", {}, h("h2", {}, "Side by side"), metrics(found, names)),
    ),
    couple && changes(place, other, found),
  );
  if (couple) scatter(box.querySelector("section"), place, found, names);
}

function sentence(found) {
  const pairs = `Over ${count(found.pairs)} pairs in common, `;
  if (!found.couple) return `${pairs}no features can be matched: one set is of embeddings and the other learned, or their widths differ.`;
  const { matched, of, how, by_chance: chance, r, random_r: random, same_class: same, kappa, verdicts, verdicts_changed: moved } = found.couple;
  const least = how === "dimension" ? "" : `, at least ${number(found.least)}`;
  const beside = chance === null ? "" : `; with ${how === "decoder rows" ? "the dimensions of one decoder" : "the pairs of one run"} shuffled ${count(chance)} would be`;
  const few = matched < 10;
  const said = few ? " They are too few to say more." : ` Their R correlates by ${number(r)} (random matches: under ${number(random)}), and ${percent(same)} keep their class (kappa ${number(kappa)})${verdicts ? `; of ${count(verdicts)} with a verdict in both ${count(moved)} have another one` : ""}.`;
  return `${pairs}${count(matched)} of ${count(of)} live features are matched by ${WAYS[how]}${least}${beside}.${said}`;
}

const overSeeds = (seeds) => {
  const range = ([mean, low, high], say) => `${say(mean)} (${say(low)} to ${say(high)})`;
  return `Over all ${seeds.couples} couples of seeds ${range(seeds.share, percent)} are matched, R correlates by ${range(seeds.r, number)} and ${range(seeds.same_class, percent)} keep their class.`;
};

function metrics(found, names) {
  const cell = (each, isCount) => {
    if (!each || each.value === null) return h("td", {}, "—");
    const digits = isCount ? (Number.isInteger(each.value) ? 0 : 1) : 3;
    const interval = each.low !== null && each.high !== null && `${number(each.low, digits)} to ${number(each.high, digits)}`;
    const beside = each.baseline !== null && `[${number(each.baseline, digits)}]`;
    return h("td", {}, number(each.value, digits), interval && h("small", {}, interval), beside && h("small", {}, beside));
  };
  const rows = found.metrics.map((row) => h("tr", {}, h("th", { scope: "row" }, row.name), row.cells.map((each) => cell(each, row.is_count))));
  return [
    table("Gap, retrieval, classes and verdicts", ["", ...names], rows, "small"),
    h("p", { class: "note" }, "Below a value its 95 % interval and, in brackets, what labels swapped, pairs shuffled or chance give. Of several seeds the mean, with the interval over seeds."),
  ];
}

function scatter(box, place, found, names) {
  const { first, second, likeness, scores } = found.points;
  const like = (i) => (likeness[i] === null ? "" : `, ${found.couple.how === "decoder rows" ? "cosine" : "correlation"} ${number(likeness[i])}`);
  const points = { x: scores[0], y: scores[1] };
  const drawn = new Scatter(points, {
    label: `R of ${found.couple.matched} matched features: ${names[0]} to the right, ${names[1]} upwards.`,
    describe: (i) => `Feature ${first[i]} (R ${number(points.x[i])}) and feature ${second[i]} (R ${number(points.y[i])})${like(i)}`,
    open: (i) => (location.hash = place.to("feature", first[i])),
    frame: true,
  });
  box.append(drawn.element, h("p", { class: "note" }, `To the right ${names[0]}, upwards ${names[1]}, both from 0 (${place.modalities[1]}) to 1 (${place.modalities[0]}). Lines at a third and two thirds part the classes.`));
  const paint = () => {
    const [same, other] = [palette("cross"), palette("third")];
    const moved = new Set(found.moved.map((each) => each.first));
    drawn.colour((i) => (moved.has(first[i]) ? other : same));
  };
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint, { signal: place.signal });
  drawn.start();
}

function changes(place, other, found) {
  const feature = (address, number, name) => [h("a", { href: address }, String(number)), name && ` ${name}`];
  const line = (each) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, feature(place.to("feature", each.first), each.first, each.names[0])),
      h("td", {}, feature(to(other.run, other.set, "feature", each.second), each.second, each.names[1])),
      h("td", { class: "extra" }, number(each.likeness)),
      h("td", {}, change(each.labels.map(className))),
      h("td", {}, change(each.verdicts.map((name) => name || "none"))),
      h("td", {}, `${number(each.scores[0])} → ${number(each.scores[1])}`),
    );
  return [
    h("h2", {}, found.changed ? `${plural(found.changed, "matched feature")} with another class or verdict` : "No matched feature has another class or verdict"),
    found.changed > 0 && table("Matched features whose class or verdict differs", ["Here", "There", h("th", { scope: "col", class: "extra" }, "Likeness"), "Class", "Verdict", "R"], found.moved.map(line)),
    found.moved.length < found.changed && h("p", { class: "note" }, `The ${found.moved.length} farthest apart in R.`),
  ];
}

const change = ([before, after]) => (before === after ? before : `${before} → ${after}`);
