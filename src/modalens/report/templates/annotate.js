// One feature after another, four answers, undo, and a file at the end. Everything shown goes in as text.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const rater = element("rater"), status = element("status"), title = element("item-title");
  const buttons = Array.from(document.querySelectorAll(".choices button"));
  const choices = buttons.map((button) => button.value);
  const place = `modalens-annotation-${data.page}`;
  const total = data.items.length;

  // Answers in the order of the items, so the next item is the one after the last answer.
  let answers = [];
  const restore = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(place)) ?? {};
      if (typeof kept.rater === "string") rater.value = kept.rater;
      if (Array.isArray(kept.answers) && kept.answers.length <= total && kept.answers.every((one) => choices.includes(one)))
        answers = kept.answers;
    } catch {
      status.textContent = "This browser keeps nothing here: save your answers before you close the page.";
    }
  };
  const keep = () => {
    try {
      localStorage.setItem(place, JSON.stringify({ rater: rater.value, answers }));
    } catch {
      status.textContent = "This browser keeps nothing here: save your answers before you close the page.";
    }
  };

  const list = (id, contents) => {
    element(id).replaceChildren(...contents.map((content) => {
      const entry = document.createElement("li");
      entry.append(content);
      return entry;
    }));
  };
  const preview = (index, number) => {
    const url = data.previews[index], sound = url.startsWith("data:audio/");
    const shown = document.createElement(sound ? "audio" : "img");
    if (sound) Object.assign(shown, { controls: true, preload: "none", ariaLabel: `Sample ${number + 1}` });
    else shown.alt = `Sample ${number + 1}`;
    shown.src = url;
    return shown;
  };
  const show = () => {
    const done = answers.length === total;
    element("item").hidden = done;
    element("done").hidden = !done;
    element("progress").value = answers.length;
    element("undo").disabled = element("restart").disabled = element("save").disabled = answers.length === 0;
    if (done) return;
    title.textContent = `Feature ${answers.length + 1} of ${total}`;
    const [previews, texts] = data.items[answers.length];
    list("previews", previews.map(preview));
    list("texts", texts.map((index) => data.texts[index]));
  };
  const move = () => {
    keep();
    show();
    const heading = answers.length === total ? element("done-title") : title;
    heading.focus({ preventScroll: true });
    if (heading.getBoundingClientRect().top < 0) heading.scrollIntoView();
  };

  const answer = (value) => {
    if (answers.length === total) return;
    status.textContent = "";
    answers.push(value);
    if (answers.length === 1) element("how").open = false;
    move();
  };
  const undo = () => {
    const last = answers.pop();
    if (last === undefined) return;
    status.textContent = `The answer “${last}” to feature ${answers.length + 1} is taken back.`;
    move();
  };
  const save = () => {
    const name = rater.value.trim();
    rater.value = name;
    if (!rater.reportValidity()) {  // which goes to the field and says what is missing
      status.textContent = "Write your name first, at the top of the page.";
      return;
    }
    const sheet = {
      kind: data.kind, schema_version: data.schema_version, page: data.page, rater: name, choices,
      answers: Object.fromEntries(answers.map((value, index) => [index + 1, value])),
    };
    const link = document.createElement("a");
    const file = new Blob([JSON.stringify(sheet, null, 2) + "\n"], { type: "application/json" });
    link.href = URL.createObjectURL(file);
    link.download = `answers-${name.replace(/[^\p{L}\p{N}]+/gu, "-")}-${data.page}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    status.textContent = `${answers.length} of ${total} answers are saved to ${link.download}.`;
  };
  const restart = () => {
    if (!confirm(`Throw away ${answers.length} answers and start over?`)) return;
    answers = [];
    rater.value = "";
    status.textContent = "";
    move();
  };

  buttons.forEach((button) => button.addEventListener("click", () => answer(button.value)));
  element("undo").addEventListener("click", undo);
  element("save").addEventListener("click", save);
  element("restart").addEventListener("click", restart);
  element("who").addEventListener("submit", (event) => { event.preventDefault(); rater.blur(); });
  rater.addEventListener("input", keep);
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target === rater) return;
    const choice = choices[Number(event.key) - 1];
    if (choice) answer(choice);
    else if (event.key === "u") undo();
  });

  restore();
  element("how").open = answers.length === 0;
  element("main").hidden = false;
  show();
})();
