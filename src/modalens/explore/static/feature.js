// One feature: what it is, its strongest pairs, its partner and neighbours; and what the reader makes of it.

import { get, post, query } from "/api.js";
import { className, count, featureLink, fill, h, number, percent, plurals, rate, role, sampleGrid, sampleList, scoreBar, sideName, svg, tag, verdict } from "/dom.js";

const RATER = "modalens-rater";

export async function showFeature(view, place) {
  const feature = Number(place.item);
  const found = await get(place.api(`features/${feature}`), place.signal);
  const partner = found.verdict && found.partner >= 0 ? await get(place.api(`features/${found.partner}`), place.signal) : null;
  const size = place.here.features;
  fill(
    view,
    h("p", { class: "crumbs" }, h("a", { href: place.to("features") }, "All features")),
    h(
      "div",
      { class: "title" },
      h("h1", {}, `Feature ${feature}`, found.name && h("span", {}, ` ${found.name}`)),
      h(
        "p",
        { class: "step" },
        feature > 0 && h("a", { href: place.to("feature", feature - 1), rel: "prev" }, "Previous"),
        feature + 1 < size && h("a", { href: place.to("feature", feature + 1), rel: "next" }, "Next"),
        h("a", { href: place.to("steer", null, steering(place, found)) }, "Steer by it"),
      ),
    ),
    h("div", { class: "columns" }, facts(place, found), h("div", {}, histogram(place, found), rating(place, found))),
    samples(place, found),
    partner && beside(place, found, partner),
    neighbours(place, found),
  );
}

// A feature is turned in the pair that it answers to most, on its own side.
function steering(place, found) {
  const side = found.label === place.modalities[1] || !found.samples.image.samples.length ? "text" : "image";
  const strongest = found.samples[side].samples[0];
  return { features: found.feature, side, ...(strongest ? { row: strongest.row } : {}) };
}

function facts(place, row) {
  const [first, second] = place.modalities;
  const line = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const named = row.name && [row.name_image, row.name_text].some((each) => each !== null);
  return h(
    "dl",
    { class: "facts" },
    line("Class", tag(place, row.label), row.certainty !== null && `, ${percent(row.certainty)} certain`),
    line("R", scoreBar(place, row), row.low !== null && h("small", {}, `95 %: ${number(row.low)} to ${number(row.high)}; 1 is ${first}, 0 is ${second}`)),
    row.verdict && line("Verdict", verdict(place, row), row.partner >= 0 && h("small", {}, `correlation ${number(row.correlation)} with ${row.partner}`)),
    line("Fires for", `${rate(row.rate_image)} of ${plurals(first)}, ${rate(row.rate_text)} of ${plurals(second)}`),
    (row.mono_image !== null || row.mono_text !== null) &&
      line("Mono", `${number(row.mono_image)} on ${plurals(first)}, ${number(row.mono_text)} on ${plurals(second)}`, h("small", {}, "how alike its strongest samples look to another model; a random set scores about 0.25")),
    row.seeds > 0 && line("Found again", row.found < 0 ? "never fires" : `by ${row.found} of ${row.seeds} other seeds`),
    named && line("Name", row.name, h("small", {}, `tells firing samples from others: ${number(row.name_image)} on ${plurals(first)}, ${number(row.name_text)} on ${plurals(second)}; 0.5 is chance`)),
  );
}

function histogram(place, found) {
  if (!found.histogram) return h("p", { class: "note" }, "It never fires.");
  const { edges, image, text } = found.histogram;
  const most = Math.max(...image, ...text, 1);
  const [width, height, middle] = [320, 120, 60];
  const step = width / image.length;
  const bar = (value, i, up, kind) => {
    const tall = value ? Math.max(1, (52 * Math.log1p(value)) / Math.log1p(most)) : 0;
    return svg("rect", { x: i * step + 0.5, y: up ? middle - tall : middle, width: Math.max(step - 1, 0.5), height: tall, class: kind });
  };
  const [first, second] = place.modalities;
  return h(
    "figure",
    { class: "histogram" },
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `Activations of ${plurals(first)} above and ${plurals(second)} below, from ${number(edges[0])} to ${number(edges.at(-1))}; the highest bar is ${count(most)}` },
      image.map((value, i) => bar(value, i, true, "first")),
      text.map((value, i) => bar(value, i, false, "second")),
      svg("line", { x1: 0, x2: width, y1: middle, y2: middle, class: "axis" }),
    ),
    h("p", { class: "ends" }, h("span", {}, number(edges[0])), h("span", {}, "activation, counts on a log scale"), h("span", {}, number(edges.at(-1)))),
    h("figcaption", {}, h("span", { class: "key first" }, `${plurals(first)}`), h("span", { class: "key second" }, `${plurals(second)}`), ` The highest bar is ${count(most)}.`),
  );
}

function samples(place, found) {
  return h(
    "div",
    { class: "sides" },
    ["image", "text"].map((side) => {
      const box = h("div", { class: "samples" });
      const more = h("div", { class: "more" });
      const show = (part) => {
        const many = `${plurals(sideName(place, side))}`;
        const said = `Strongest ${many}`;
        if (!part.samples.length && !part.start) add(h("p", { class: "note" }, `No ${sideName(place, side)} makes it fire.`));
        else add(side === "image" ? sampleGrid(place, part.samples, said) : sampleList(place, part.samples, said));
        fill(more, part.more && h("button", { type: "button", onclick: () => next(part.start + part.samples.length) }, `More ${many}`));
      };
      const add = (element) => box.append(element);
      const next = async (start) => {
        try {
          show(await get(place.api(`features/${found.feature}/samples`) + query({ side, start }), place.signal));
        } catch (error) {
          place.complain(error);
        }
      };
      show(found.samples[side]);
      return h("section", { class: side }, h("h2", {}, `${side === "image" ? "Images" : "Texts"}`.replace("Images", title(place.modalities[0])).replace("Texts", title(place.modalities[1])), " it answers to most"), box, more);
    }),
  );
}

const title = (name) => plurals(name).charAt(0).toUpperCase() + plurals(name).slice(1);

function beside(place, found, partner) {
  const half = (row, side) =>
    h(
      "div",
      { class: `half ${role(place, row.label)}` },
      h("h3", {}, featureLink(place, row.feature, row.name), " ", tag(place, row.label)),
      side === "image" ? sampleGrid(place, row.samples.image.samples.slice(0, 6), `Its ${plurals(place.modalities[0])}`) : sampleList(place, row.samples.text.samples.slice(0, 6), `Its ${plurals(place.modalities[1])}`),
    );
  const own = found.label === place.modalities[1] ? "text" : "image";
  const other = own === "image" ? "text" : "image";
  const says = {
    split: `The same concept fires this feature on one side and feature ${partner.feature} on the other: it is split.`,
    unclear: `Feature ${partner.feature} fires most like it on the other side; that is too little to call it split, and too much to call it private.`,
    private: `Nothing on the other side fires like it; feature ${partner.feature} comes nearest.`,
  };
  return h(
    "section",
    { class: "partner" },
    h("h2", {}, found.verdict === "split" ? "Its partner" : "Nearest on the other side"),
    h("p", {}, says[found.verdict] || "", ` Correlation over pairs ${number(found.correlation)}.`),
    h("div", { class: "halves" }, half(found, own), half(partner, other)),
  );
}

function neighbours(place, found) {
  if (!found.neighbours.length) return null;
  return h(
    "section",
    { class: "neighbours" },
    h("h2", {}, "Nearest by decoder direction"),
    h("ul", {}, found.neighbours.map((row) => h("li", {}, featureLink(place, row.feature, row.name), tag(place, row.label), h("small", {}, `cosine ${number(row.cosine)}`)))),
  );
}

function rating(place, found) {
  if (found.label === "dead") return null;
  const said = h("p", { class: "note", role: "status" }, "You see its class here; on the page of modalens annotate it is hidden, and answers are kept apart.");
  const rater = h("input", { type: "text", id: "rater", maxlength: "60", autocomplete: "name" });
  try {
    rater.value = localStorage.getItem(RATER) || "";
  } catch {
    rater.value = "";
  }
  const buttons = found.choices.map((choice) =>
    h("button", { type: "button", "data-answer": choice, "aria-pressed": "false", onclick: () => answer(choice) }, className(choice)),
  );
  const mark = (given) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.answer === given)));
  let now = null;
  async function answer(choice) {
    const wanted = now === choice ? null : choice;
    try {
      localStorage.setItem(RATER, rater.value.trim());
    } catch {
      // a browser without storage forgets the name, nothing else
    }
    try {
      const kept = await post(place.api(`features/${found.feature}/rating`), { answer: wanted, rater: rater.value });
      now = wanted;
      mark(now);
      fill(said, `${wanted ? "Kept" : "Taken back"}; ${count(Object.keys(kept.answers).length)} rated so far, in ${kept.file}.`);
    } catch (error) {
      place.complain(error);
    }
  }
  const before = async () => {
    if (!rater.value.trim()) return;
    try {
      const kept = await get(place.api("ratings") + query({ rater: rater.value }), place.signal);
      now = kept.answers[found.feature] || null;
      mark(now);
    } catch {
      // nothing rated by that name
    }
  };
  rater.addEventListener("change", before);
  before();
  return h(
    "section",
    { class: "rating" },
    h("h2", {}, "What does it show?"),
    h("label", { for: "rater" }, "Your name ", rater),
    h("div", { class: "choices", role: "group", "aria-label": "Which side shares one idea" }, buttons),
    said,
  );
}
