// Features by decoder direction, or pairs by their embeddings, in two dimensions.

import { get } from "/api.js";
import { className, count, fill, h, number, percent, role } from "/dom.js";
import { mix, palette, Scatter } from "/scatter.js";

const NUMBERS = {
  score: ["R", 0, 1],
  certainty: ["certainty", 0, 1],
  mono: ["Mono", null, null],
  cosine: ["cosine of the pair", null, null],
  overlap: ["energy in shared features", 0, 1],
  first: null,
  cross: ["energy of cross-modal features", 0, 1],
  second: null,
};

export async function showMap(view, place) {
  const of = place.asked.get("of") === "pairs" || !place.here.decoder ? "pairs" : "features";
  const choices = of === "features" ? { label: "class", score: "R", verdict: "verdict", certainty: "certainty", mono: "Mono" } : pairChoices(place);
  const asked = place.asked.get("colour");
  const colour = asked && (Object.hasOwn(choices, asked) || asked.startsWith("column:")) ? asked : Object.keys(choices)[0];
  const box = h("div", { class: "map-view" });
  const go = (values) => (location.hash = place.to("map", null, { of, colour, ...values }));
  fill(
    view,
    h("h1", {}, of === "features" ? "A map of the features" : "A map of the pairs"),
    h(
      "form",
      { class: "filters", "aria-label": "What the map shows", onsubmit: (event) => event.preventDefault() },
      h("label", {}, "Dots are", h("select", { name: "of", onchange: (event) => (location.hash = place.to("map", null, { of: event.target.value })) }, place.here.decoder && h("option", { value: "features", selected: of === "features" }, "features"), h("option", { value: "pairs", selected: of === "pairs" }, "pairs"))),
      h("label", {}, "Colour", h("select", { name: "colour", onchange: (event) => go({ colour: event.target.value }) }, Object.entries(choices).map(([value, text]) => h("option", { value, selected: value === colour }, text)))),
    ),
    box,
  );
  const column = colour.startsWith("column:") ? colour.slice(7) : null;
  fill(box, h("p", { class: "wait" }, "The map is being laid out; this is done once and kept."));
  const load = async () => {
    const found = await get(place.api(`map/${of}`) + (column === null ? "" : `?${new URLSearchParams({ column })}`), place.signal);
    const scatter = new Scatter(found, {
      label: `${count(found.of.length)} ${of} in two dimensions.`,
      describe: (i) => describe(place, of, found, i),
      open: (i) => (location.hash = place.to(of === "features" ? "feature" : "pair", found.of[i])),
    });
    fill(box, scatter.element, legend(place, scatter, found, column === null ? colour : "column", column), note(place, of, found));
    scatter.start();
  };
  view.addEventListener("shown", () => load().catch((error) => { fill(box); place.complain(error); }), { once: true });
}

function pairChoices(place) {
  const [first, second] = place.modalities;
  const found = { cosine: "cosine of the pair", overlap: "energy in shared features", first: `energy of ${first} features`, cross: "energy of cross-modal features", second: `energy of ${second} features` };
  for (const name of place.info.labels) found[`column:${name}`] = `column ${name}`;
  return found;
}

function describe(place, of, found, i) {
  if (of === "pairs") return `Pair ${found.of[i]}, cosine ${number(found.cosine[i])}, energy in shared features ${percent(found.overlap[i])}${found.column && found.column.codes[i] >= 0 ? `, ${found.column.names[found.column.codes[i]]}` : ""}`;
  const label = found.label.names[found.label.codes[i]];
  const verdict = found.verdict.codes[i] >= 0 ? `, ${found.verdict.names[found.verdict.codes[i]]}` : "";
  const name = found.name.codes[i] >= 0 ? ` “${found.name.names[found.name.codes[i]]}”` : "";
  return `Feature ${found.of[i]}${name}: ${className(label)}, R ${number(found.score[i])}${verdict}`;
}

function note(place, of, found) {
  const how = of === "features" ? "Features whose decoder directions are alike lie together" : "Pairs lie by their two embeddings, each without the mean of its side, so that the gap plays no part";
  const part = of === "pairs" && found.all > found.of.length ? ` ${count(found.of.length)} of ${count(found.all)} pairs, drawn at random.` : "";
  return h("p", { class: "note" }, `${how} (t-SNE of at most 2,000, the others beside those they are like). Distances between far groups mean nothing.${part}`);
}

function legend(place, scatter, found, colour, column) {
  const box = h("div", { class: "legend" });
  const codes = found[colour] && found[colour].codes ? found[colour] : null;
  const paint = () => {
    if (codes) {
      const colours = codes.names.map((name, i) => kindColour(place, colour, name, i));
      scatter.colour((i) => (codes.codes[i] < 0 ? other() : colours[codes.codes[i]]));
      if (!codes.names.length) {
        fill(box, h("span", { class: "note" }, `None has a ${column || colour}.`));
        return;
      }
      fill(box, codes.names.slice(0, 12).map((name, i) => h("span", {}, h("i", { "aria-hidden": "true", vars: { background: `rgb(${colours[i]})` } }), colour === "label" ? className(name) : name)), codes.kinds > codes.names.slice(0, 12).length && h("span", {}, `and ${count(codes.kinds - Math.min(12, codes.names.length))} more`));
      return;
    }
    const values = found[colour];
    const there = values.filter((value) => value !== null);
    const [name, least, most] = NUMBERS[colour] || [`energy of ${role(place, place.modalities[0]) === colour ? place.modalities[0] : place.modalities[1]} features`, 0, 1];
    const low = least ?? Math.min(...sample(there));
    const high = most ?? Math.max(...sample(there));
    const ramp = colour === "score" ? [palette("second"), palette("cross"), palette("first")] : [palette("line"), palette(colour === "first" ? "first" : colour === "second" ? "second" : "third")];
    const at = (value) => {
      const t = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (ramp.length - 1);
      const i = Math.min(ramp.length - 2, Math.floor(t));
      return mix(ramp[i], ramp[i + 1], t - i);
    };
    scatter.colour((i) => (values[i] === null ? other() : at(values[i])));
    if (!there.length) {
      fill(box, h("span", { class: "note" }, `None has a value of ${name}.`));
      return;
    }
    const bar = h("i", { class: "ramp", "aria-hidden": "true", vars: { background: `linear-gradient(90deg, ${ramp.map((each) => `rgb(${each})`).join(", ")})` } });
    fill(box, h("span", {}, number(low)), bar, h("span", {}, number(high)), h("span", { class: "note" }, name));
  };
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint, { signal: place.signal });
  return box;
}

// What has no value, or a rare one: faint, and still seen.
const other = () => mix(palette("line"), palette("cross"), 0.5);

const sample = (values) => (values.length > 50000 ? values.filter((_, i) => i % 4 === 0) : values.length ? values : [0, 1]);

function kindColour(place, colour, name, i) {
  if (colour === "label") return palette(role(place, name));
  if (colour === "verdict") return palette({ split: "third", private: "ink", unclear: "cross" }[name] || "line");
  // Hues a golden angle apart: neighbours in the list are far apart on the wheel.
  const hue = (i * 137.508 + 210) % 360;
  const light = matchMedia("(prefers-color-scheme: dark)").matches ? 0.66 : 0.46;
  const chroma = (1 - Math.abs(2 * light - 1)) * 0.62;
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - (chroma / 2) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}
