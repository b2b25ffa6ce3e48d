// One pair: picture and caption, what fires on each side, what is shared; and the pairs before and after it.

import { get, query } from "/api.js";
import { count, energies, fill, h, media, number, percent, plural, shares, sideName } from "/dom.js";

export async function showPair(view, place) {
  const order = place.asked.get("order") === "least" ? "least" : "given";
  const asked = place.item === undefined ? { order, place: 0 } : { order, row: place.item };
  const at = await get(place.api("pairs") + query(asked), place.signal);
  const row = place.item === undefined ? at.row : Number(place.item);
  const step = (by) => get(place.api("pairs") + query({ order, place: (at.place + by + at.of) % at.of }), place.signal);
  const [found, before, after] = await Promise.all([get(place.api(`pairs/${row}`), place.signal), step(-1), step(1)]);
  const more = order === "least" ? { order } : undefined;
  const link = (to, label, rel) => h("a", { href: place.to("pair", to.row, more), rel, class: "button" }, label);
  const orders = h(
    "select",
    { onchange: (event) => (location.hash = place.to("pair", event.target.value === "least" ? undefined : row, event.target.value === "least" ? { order: "least" } : undefined)) },
    h("option", { value: "given", selected: order === "given" }, "as given"),
    h("option", { value: "least", selected: order === "least" }, "least agreement first"),
  );
  const sides = ["image", "text"].map((side) => shares(place, found.shares[side], `Energy of the ${sideName(place, side)}`));
  const labels = Object.entries(found.labels);
  fill(
    view,
    h(
      "div",
      { class: "title" },
      h("h1", {}, "Pair ", h("span", {}, found.id.length > 24 ? row : found.id)),
      h(
        "p",
        { class: "step" },
        link(before, "Previous", "prev"),
        link(after, "Next", "next"),
        h("label", {}, "Order ", orders),
        h("span", { class: "note" }, found.scored ? `${count(at.place + 1)} of ${count(at.of)}` : `not among the ${count(at.of)} that are scored`),
        h("a", { href: place.to("steer", null, { row }) }, "Steer it"),
      ),
    ),
    found.id.length > 24 && h("p", { class: "note" }, found.id),
    h(
      "div",
      { class: "columns pair-columns" },
      h("figure", { class: "shown" }, media(place, row, found.caption, "large"), h("figcaption", {}, found.caption)),
      h(
        "div",
        {},
        sides,
        h("p", {}, found.shared ? `They share ${plural(found.shared, "feature")}, which ${found.shared === 1 ? "holds" : "hold"} ${percent(found.overlap.image)} of the ${place.modalities[0]}'s energy and ${percent(found.overlap.text)} of the ${place.modalities[1]}'s.` : "They share no feature.", ` The model's embeddings have a cosine of ${number(found.cosine)}.`),
        labels.length > 0 && h("details", {}, h("summary", {}, "What is known of it"), h("dl", { class: "facts" }, labels.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))),
      ),
    ),
    h("h2", {}, "What fires"),
    energies(place, found, ["image", "text"]),
    found.total > found.features.length && h("p", { class: "note" }, `The ${found.features.length} of most energy of ${count(found.total)}.`),
  );
  const keys = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "ArrowLeft") location.hash = place.to("pair", before.row, more);
    if (event.key === "ArrowRight") location.hash = place.to("pair", after.row, more);
  };
  document.addEventListener("keydown", keys, { signal: place.signal });
}
