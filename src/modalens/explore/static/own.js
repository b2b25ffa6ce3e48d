// What fires for a sentence or a picture of the reader's own, and the pairs nearest to it; with both, what they share.

import { get, query } from "/api.js";
import { count, energies, fill, h, percent, plural, plurals, sampleGrid, sampleList, shares, sideName } from "/dom.js";
import { ownSearch } from "/search.js";

const LAST = { image: null, text: null };

export async function showOwn(view, place) {
  const found = await get(place.api(`own/${encodeURIComponent(place.item)}`), place.signal);
  LAST[found.side] = { key: found.key, shown: found.shown, run: place.run };
  const other = LAST[found.side === "image" ? "text" : "image"];
  const run = encodeURIComponent(place.run);
  const shown = found.picture ? h("img", { class: "own-picture", src: `/media/${run}/own/${encodeURIComponent(found.key)}`, alt: "Your picture" }) : null;
  const title = found.side === "text" ? `“${found.shown}”` : found.shown;
  let both = null;
  if (other && other.run === place.run) {
    const keys = found.side === "image" ? { image: found.key, text: other.key } : { image: other.key, text: found.key };
    try {
      both = await get(place.api("shared") + query(keys), place.signal);
    } catch {
      both = null; // the other sample is forgotten
    }
  }
  fill(
    view,
    h("p", { class: "crumbs" }, h("a", { href: place.to("features") }, "All features")),
    h("h1", {}, title),
    shown,
    ownSearch(place, found.side === "text" ? found.shown : ""),
    h("p", {}, `${plural(found.firing[found.side], "feature")} of ${place.set} ${found.firing[found.side] === 1 ? "fires" : "fire"}. `, h("a", { href: place.to("steer", null, { own: found.key, side: found.side }) }, "Steer it")),
    shares(place, found.shares[found.side], "Energy by class"),
    h("h2", {}, "Features that fire"),
    energies(place, found, [found.side]),
    found.total > found.features.length && h("p", { class: "note" }, `The ${found.features.length} of most energy of ${count(found.total)}.`),
    both &&
      h(
        "section",
        {},
        h("h2", {}, found.side === "image" ? `Beside “${other.shown}”` : "Beside your picture"),
        h("p", {}, both.shared ? `They share ${plural(both.shared, "feature")}: ${percent(both.overlap.image)} of the picture's energy, ${percent(both.overlap.text)} of the sentence's.` : "They share no feature."),
        energies(place, both, ["image", "text"]),
      ),
    h(
      "div",
      { class: "sides" },
      h("section", {}, h("h2", {}, `Nearest ${plurals(sideName(place, "image"))}`), h("p", { class: "note" }, "By cosine of the model's embeddings."), sampleGrid(place, found.nearest.image, `Nearest ${plurals(sideName(place, "image"))}`)),
      h("section", {}, h("h2", {}, `Nearest ${plurals(sideName(place, "text"))}`), h("p", { class: "note" }, "By cosine of the model's embeddings."), sampleList(place, found.nearest.text, `Nearest ${plurals(sideName(place, "text"))}`)),
    ),
  );
}
