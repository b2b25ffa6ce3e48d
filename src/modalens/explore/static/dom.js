// Elements from plain values. Text is only ever text: captions, names and labels are other people's words.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

const NS = "http://www.w3.org/2000/svg";
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  add(element, children);
  return element;
}

// With a true minus sign, and none before what rounds to zero.
export const number = (value, digits = 2) =>
  value === null || value === undefined || !Number.isFinite(value) ? "—" : value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
export const percent = (share, digits = 0) => (share === null || share === undefined ? "—" : `${number(100 * share, digits)} %`);
export const rate = (share) => (share === null || share === undefined ? "—" : share === 0 ? "0 %" : share < 0.001 ? "< 0.1 %" : percent(share, share < 0.1 ? 1 : 0));
export const count = (value) => Number(value).toLocaleString("en");
export const plural = (value, one, many = one + "s") => `${count(value)} ${value === 1 ? one : many}`;

// What a list calls a run: of runs whose folders have the same name, the whole path too.
export function runName(runs, run) {
  const own = run.key.split("+")[0];
  const stem = (key) => key.split("+")[0].replace(/-\d+$/, "");
  const alike = runs.some((each) => each.key.split("+")[0] !== own && stem(each.key) === stem(run.key));
  return run.key.replace("+", " / ") + (alike ? ` (${run.folder})` : "");
}

// The colour of a class goes by its role: first and second modality, both, none.
export const role = (place, label) =>
  label === place.modalities[0] ? "first" : label === place.modalities[1] ? "second" : label === "cross" ? "cross" : "dead";
export const className = (label) => (label === "cross" ? "cross-modal" : label);

// Of samples: a modality is called audio, its samples sounds.
export const plurals = (name) => (name === "audio" ? "sounds" : `${name}s`);

export const tag = (place, label) =>
  h("span", { class: `tag ${role(place, label)}` }, h("span", { class: "dot", "aria-hidden": "true" }), className(label));

export const featureLink = (place, feature, name) =>
  h("a", { href: place.to("feature", feature), class: "feature" }, h("b", {}, String(feature)), name ? ` ${name}` : null);

export function verdict(place, row) {
  if (!row.verdict) return "—";
  return row.verdict === "split" && row.partner >= 0
    ? h("span", { class: "verdict" }, "split, with ", h("a", { href: place.to("feature", row.partner) }, String(row.partner)))
    : row.verdict;
}

// R from 0 (the second modality) to 1 (the first) with its interval.
export function scoreBar(place, row) {
  if (row.score === null) return h("span", {}, "—");
  const low = row.low ?? row.score;
  const high = row.high ?? row.score;
  return h(
    "span",
    { class: `score ${role(place, row.label)}` },
    h("i", { "aria-hidden": "true", vars: { "--l": 100 * low, "--w": 100 * (high - low), "--s": 100 * row.score } }),
    h("span", {}, number(row.score)),
  );
}

const gone = (what) => h("span", { class: "gone" }, `no ${what}`);

export const picture = (place, row, alt = "", size = "") =>
  h("img", {
    src: `/media/${encodeURIComponent(place.run)}/${row}`,
    alt,
    loading: "lazy",
    class: size || null,
    onerror: (event) => event.target.replaceWith(gone("picture")),
  });

// Of a run that does not say where its pairs came from, none is asked for.
export const media = (place, row, alt, size) =>
  !place.info.media
    ? gone(place.modalities[0] === "image" ? "picture" : "sound")
    : place.modalities[0] === "image"
    ? picture(place, row, alt, size)
    : h("audio", { src: `/media/${encodeURIComponent(place.run)}/${row}`, controls: true, preload: "none", "aria-label": alt });

// Energy by class as one bar.
export function shares(place, found, said) {
  const order = [place.modalities[0], "cross", place.modalities[1], "dead"].filter((label) => found[label] > 0);
  const words = order.map((label) => `${className(label)} ${percent(found[label])}`).join(", ");
  return h(
    "figure",
    { class: "shares" },
    h("figcaption", {}, said, h("span", {}, words || "nothing fires")),
    h("div", { role: "img", "aria-label": `${said}: ${words}` }, order.map((label) => h("span", { class: role(place, label), vars: { "flex-grow": found[label] } }))),
  );
}

export function table(caption, heads, rows, classes = "") {
  return h(
    "div",
    { class: `scroll ${classes}`, tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden-text" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => (head instanceof Node ? head : h("th", { scope: "col" }, head))))),
      h("tbody", {}, rows),
    ),
  );
}

export const pairLink = (place, row, children, more = {}) => h("a", { href: place.to("pair", row), ...more }, children);

export function sampleGrid(place, samples, said) {
  return h(
    "ul",
    { class: place.modalities[0] === "image" ? "grid" : "grid sounds", "aria-label": said },
    samples.map((each) =>
      h("li", {}, shownWith(place, each), h("small", {}, number(each.value))),
    ),
  );
}

// A picture is part of the link to its pair; a player stands beside it, since a link may hold nothing that is clicked.
function shownWith(place, each) {
  const shown = media(place, each.row, each.caption || `pair ${each.row}`);
  const words = h("span", {}, each.caption || (place.modalities[0] === "image" ? "" : `pair ${each.row}`));
  return place.modalities[0] === "image" ? pairLink(place, each.row, [shown, words]) : [shown, pairLink(place, each.row, words)];
}

export function sampleList(place, samples, said) {
  const most = Math.max(...samples.map((each) => Math.abs(each.value)), 1e-9);
  return h(
    "ol",
    { class: "texts", "aria-label": said },
    samples.map((each) =>
      h("li", { vars: { "--w": `${(100 * Math.abs(each.value)) / most}%` } }, pairLink(place, each.row, each.caption || `pair ${each.row}`), h("small", {}, number(each.value))),
    ),
  );
}

export const say = (sentence) => {
  document.getElementById("status").textContent = sentence;
};

// The two energies of features on either side, back to back.
export function energies(place, found, sides) {
  const heads = ["Feature", "Class", "R", ...sides.map((side) => h("th", { scope: "col" }, `Energy, ${sideName(place, side)}`)), sides.length === 2 ? "Fires on" : "Verdict"];
  const rows = found.features.map((each) =>
    h(
      "tr",
      { class: each.on === "both" && sides.length === 2 ? "shared" : null },
      h("th", { scope: "row" }, featureLink(place, each.feature, each.name)),
      h("td", {}, tag(place, each.label)),
      h("td", {}, number(each.score)),
      sides.map((side) => h("td", { class: "energy" }, h("i", { class: role(place, each.label), "aria-hidden": "true", vars: { "--w": `${100 * each[side]}%` } }), h("span", {}, percent(each[side], each[side] < 0.1 && each[side] > 0 ? 1 : 0)))),
      h("td", {}, sides.length === 2 ? (each.on === "both" ? "both" : sideName(place, each.on)) : verdict(place, each)),
    ),
  );
  return table("Features that fire, those of most energy first", heads, rows, "energies");
}

export const sideName = (place, side) => (side === "image" ? place.modalities[0] : place.modalities[1]);
