// A sentence or a picture of the reader's own: embedded by the run's model, then what fires for it.

import { post, Refused, upload } from "/api.js";
import { fill, h, say } from "/dom.js";

const MOST_BYTES = 16 * 2 ** 20;

export function ownSearch(place, text = "") {
  const pictures = place.modalities[0] === "image";
  const input = h("input", { type: "search", id: "own-text", maxlength: "2000", placeholder: "a sentence of your own", autocomplete: "off" });
  input.value = text;
  const file = h("input", { type: "file", id: "own-picture", accept: "image/*", class: "hidden-text" });
  const wait = h("p", { class: "wait", role: "status" });
  const run = encodeURIComponent(place.run);
  const find = async (work) => {
    fill(wait, "The model is reading it …");
    form.setAttribute("aria-busy", "true");
    try {
      const found = await work();
      say("Done");
      location.hash = place.to("own", found.key);
    } catch (error) {
      place.complain(error);
    } finally {
      form.removeAttribute("aria-busy");
      fill(wait);
    }
  };
  const form = h(
    "form",
    {
      class: "own-search",
      role: "search",
      onsubmit: (event) => {
        event.preventDefault();
        find(() => post(`/api/${run}/text`, { text: input.value }));
      },
    },
    h("label", { for: "own-text" }, "What fires for"),
    input,
    h("button", { class: "main", type: "submit" }, "Find"),
    pictures && file,
    pictures && h("label", { for: "own-picture", class: "button" }, "A picture …"),
    wait,
  );
  file.addEventListener("change", () => {
    if (!file.files.length) return;
    if (file.files[0].size > MOST_BYTES) place.complain(new Refused("The picture's file has more than 16 MiB; give a smaller one.", 413));
    else find(() => upload(`/api/${run}/picture`, file.files[0]));
  });
  return form;
}
