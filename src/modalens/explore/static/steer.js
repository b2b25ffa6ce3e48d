// Turn features up or down in one embedding and see what it retrieves, beside random features of equal energy.

import { get, post } from "/api.js";
import { className, count, fill, h, number, pairLink, percent, plural, plurals, sampleGrid, sampleList, sideName, table } from "/dom.js";

export async function showSteer(view, place) {
  const asked = place.asked;
  if (!place.here.editable) {
    fill(view, h("h1", {}, "Steer"), h("p", {}, `${place.set} has no decoder to steer by; choose an autoencoder or the embeddings (raw) above.`));
    return;
  }
  const [first, second] = place.modalities;
  const start = asked.get("row") ?? (await get(place.api("pairs") + "?place=0", place.signal)).row;
  const features = h("input", { type: "text", name: "features", inputmode: "numeric", placeholder: "such as 12, 40", value: asked.get("features") || "", autocomplete: "off" });
  const label = h("select", { name: "label" }, [first, "cross", second].map((name) => h("option", { value: name, selected: name === asked.get("label") }, `all ${className(name)} features`)));
  const gain = h("input", { type: "range", name: "gain", min: "-4", max: "8", step: "0.25", value: asked.get("gain") ?? "0", id: "gain" });
  const gainSaid = h("output", { for: "gain" });
  const side = h("select", { name: "side" }, ["text", "image"].map((name) => h("option", { value: name, selected: name === (asked.get("side") || "text") }, `the ${sideName(place, name)}`)));
  const own = h("input", { type: "text", name: "sentence", maxlength: "2000", placeholder: "leave empty for the pair", autocomplete: "off" });
  const row = h("input", { type: "number", name: "row", min: "0", max: String(place.info.pairs - 1), value: String(start) });
  const column = h("select", { name: "column" }, h("option", { value: "" }, "none"), place.info.labels.map((name) => h("option", { value: name, selected: name === asked.get("column") }, name)));
  const result = h("div", { class: "result" });
  const measured = h("div", { class: "result" });
  const drawn = h("div", { class: "result" });
  const saved = h("div", { class: "result", role: "status" });
  let ownKey = asked.get("own");
  const speak = () => (gainSaid.textContent = says(Number(gain.value)));
  gain.addEventListener("input", speak);
  speak();
  own.addEventListener("input", () => (ownKey = null));

  function steer() {
    const named = features.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    return { features: named, label: named.length ? null : label.value, gain: Number(gain.value), side: side.value };
  }

  async function working(box, said, work) {
    fill(box, h("p", { class: "wait", role: "status" }, said));
    try {
      fill(box, await work());
    } catch (error) {
      fill(box);
      place.complain(error);
    }
  }

  async function query() {
    const wanted = steer();
    if (own.value.trim()) {
      ownKey = (await post(`/api/${encodeURIComponent(place.run)}/text`, { text: own.value })).key;
      wanted.side = side.value = "text";
    }
    return Object.assign(wanted, ownKey ? { own: ownKey } : { row: Number(row.value) });
  }

  const turn = () =>
    working(result, own.value.trim() ? "The model reads the sentence and looks through all pairs …" : "Looking through all pairs …", async () => {
      const wanted = { ...(await query()), column: column.value || null };
      place.remember({ features: wanted.features.join(","), label: label.value, gain: gain.value, side: side.value, ...(ownKey ? { own: ownKey } : { row: row.value }), ...(column.value ? { column: column.value } : {}) });
      return shown(place, await post(place.api("steer"), wanted, place.signal), ownKey ? null : Number(row.value), wanted.gain);
    });
  const measure = () => working(measured, "Measuring over random pairs …", async () => recall(place, await post(place.api("retrieval"), steer(), place.signal)));
  const draw = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    await working(drawn, "The generator draws; this takes seconds for a small one and minutes for Stable Diffusion on a processor …", async () => pictures(place, await post(place.api("drawn"), await query(), place.signal)));
    button.disabled = false;
  };
  const save = () => working(saved, "Saving …", async () => keep(await post(place.api("edits"), steer(), place.signal)));

  const form = h(
    "form",
    { class: "steer-form", "aria-label": "What to turn", onsubmit: (event) => { event.preventDefault(); turn(); } },
    h("fieldset", {}, h("legend", {}, "Turn"), h("label", {}, "Features", features), h("label", {}, "or, if empty,", label), h("div", { class: "field" }, h("label", { for: "gain" }, "Strength"), gain, gainSaid)),
    h("fieldset", {}, h("legend", {}, "In"), h("label", {}, "Side", side), h("label", {}, "of pair", row), ownKey ? h("p", { class: "note" }, "Your own sample of before is steered until you write here.") : null, h("label", {}, "or of your sentence", own)),
    h("fieldset", {}, h("legend", {}, "See"), h("label", {}, "Labels of", column), h("div", { class: "buttons" }, h("button", { class: "main", type: "submit" }, "Steer"), h("button", { type: "button", onclick: measure }, "Measure retrieval"), place.info.draws && h("button", { type: "button", class: "draw", onclick: draw }, "Draw pictures"), h("button", { type: "button", onclick: save }, "Save the edit"))),
  );
  fill(
    view,
    h("h1", {}, "Steer"),
    h("p", { class: "lede" }, "Turn features up or down in one embedding and see what it retrieves then, beside random features of as much energy, where there are such."),
    form,
    saved,
    result,
    drawn,
    measured,
  );
  if (asked.get("features") || asked.get("own")) view.addEventListener("shown", turn, { once: true });
}

const says = (gain) => (gain === 0 ? "0: removed" : gain === 1 ? "1: as it is" : `${number(gain)} times`);

// What the random features hold beside those that are turned, which is less where all others together hold less.
const beside = (place, found, side) => {
  const whole = `of the energy of all ${plurals(sideName(place, side))}`;
  const held = `What is turned holds ${percent(found.energy, 1)}`;
  if (found.control_energy === null) return `${held} ${whole}; there are no others to turn instead.`;
  const less = found.control_energy < 0.9 * found.energy;
  return `${held} ${whole}, the random features beside them ${percent(found.control_energy, 1)}${less ? ", the most that other features come to" : ""}.`;
};

const range = (values, digits) => {
  if (!values.length) return "—";
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const text = (value) => (digits === 0 ? count(value) : number(value, digits));
  return low === high ? text(low) : `${text(low)} to ${text(high)}`;
};

function shown(place, found, row, gain) {
  const other = found.side === "text" ? "image" : "text";
  const list = (name) => (other === "image" ? sampleGrid : sampleList)(place, found.nearest[name], `Nearest ${name}`);
  const line = (name, ...cells) => h("tr", {}, h("th", { scope: "row" }, name), cells.map((cell) => h("td", {}, cell)));
  const heads = ["", "before", "after", `random features (${found.controls.length} draws)`];
  const rows = [];
  if (found.rank) rows.push(line("Rank of the right one", count(found.rank.before), count(found.rank.after), range(found.rank.controls, 0)), line("Its cosine", number(found.cosine.before, 3), number(found.cosine.after, 3), range(found.cosine.controls, 3)));
  rows.push(line("Moved by (1 − cosine)", "0", number(found.moved.after, 3), range(found.moved.controls, 3)));
  return h(
    "section",
    { class: "steered" },
    h("h2", {}, "What it retrieves"),
    h("p", {}, `${plural(found.features, "feature")} ${found.features === 1 ? "is" : "are"} turned`, row === null ? ". " : [" in ", pairLink(place, row, `pair ${row}`), ". "], beside(place, found, found.side), found.candidates ? ` ${count(found.candidates)} ${plurals(sideName(place, other))} are ranked.` : null, gain !== 1 && found.moved.after < 1e-9 ? " Nothing moves, since none of it fires here." : null),
    table("Rank and cosine before and after", heads, rows, "small"),
    h("div", { class: "sides" }, h("section", {}, h("h3", {}, "Before"), list("before")), h("section", {}, h("h3", {}, "After"), list("after"))),
    found.labels &&
      table(
        "Labels",
        ["Label", "pairs", "before", "after", "random features"],
        found.labels.map((each) => line(each.label, count(each.pairs), number(each.before, 3), number(each.after, 3), range(each.controls, 3))),
        "small",
      ),
    found.labels && h("p", { class: "note" }, `Cosine with the mean embedding of up to 200 ${plurals(sideName(place, other))} of each label.`),
  );
}

function pictures(place, found) {
  const said = {
    before: "Before",
    after: `After: ${plural(found.features, "feature")} turned`,
    control: `${plural(found.control, "random feature")} turned instead`,
  };
  const figure = (name) =>
    h(
      "li",
      {},
      h("figure", {}, h("img", { src: found.pictures[name], alt: `Drawn ${said[name].toLowerCase()}` }), h("figcaption", {}, said[name], name !== "before" && h("small", {}, `the model sees it moved by ${number(found.moved[name], 3)}`))),
    );
  return h(
    "section",
    { class: "drawn" },
    h("h2", {}, "What is drawn from it"),
    h("p", {}, `Drawn by ${found.generator}, all from the same noise`, found.prompt ? `, from the words “${found.prompt}”` : ", from the embedding", `. `, beside(place, found, found.side), ` How far a picture moved is 1 − cosine of the model's embeddings of it and of the first.`),
    h("ul", { class: "pictures" }, Object.keys(said).filter((name) => found.pictures[name]).map(figure)),
  );
}

function recall(place, found) {
  const cell = ([value, low, high]) => [percent(value, 1), h("small", {}, `${percent(low, 1)} to ${percent(high, 1)}`)];
  const line = (rank) =>
    h("tr", {}, h("th", { scope: "row" }, `Recall at ${rank}`), h("td", {}, cell(found.before[rank])), h("td", {}, cell(found.after[rank])), h("td", {}, found.controls.length ? range(found.controls.map((each) => 100 * each[rank][0]), 1) + " %" : "—"));
  return h(
    "section",
    {},
    h("h2", {}, "Over random pairs"),
    h("p", {}, `${found.way === "text_to_image" ? `From ${place.modalities[1]} to ${place.modalities[0]}` : `From ${place.modalities[0]} to ${place.modalities[1]}`}, over ${count(found.pairs)} pairs, with 95 % intervals. `, beside(place, found, found.way === "text_to_image" ? "text" : "image")),
    table("Recall before and after", ["", "before", "after", `random features (${found.controls.length} draws)`], ["1", "5"].map(line), "small"),
  );
}

function keep(found) {
  return h(
    "section",
    { class: "saved" },
    h("h2", {}, "The edit is saved"),
    h("p", {}, "In the run, as ", h("code", {}, found.path), ". Python applies it, and a PyTorch module takes it as a forward hook:"),
    h("pre", { tabindex: "0" }, `import modalens as ml\n\nedit = ml.Edit.load(${JSON.stringify(found.file)})\nedited = edit.apply(embeddings)\ntower.register_forward_hook(edit.hook())`),
  );
}
