// The feature table: sort by any column, filter by class, find a number. Without it the table still reads.
(() => {
  const table = document.getElementById("feature-table");
  const tools = document.getElementById("feature-tools");
  const status = document.getElementById("feature-status");
  const search = tools.querySelector("input[type=search]");
  const boxes = Array.from(tools.querySelectorAll("input[type=checkbox]"));
  const headers = Array.from(table.tHead.rows[0].cells);
  const body = table.tBodies[0];
  const frame = table.parentElement;
  const rows = Array.from(body.rows);
  const collator = new Intl.Collator("en", { numeric: true });

  // Only rows near what is in view are in the page, which keeps thousands of them quick; more follow on scrolling.
  const CHUNK = 200;
  let matching = rows;
  const more = () => body.append(...matching.slice(body.rows.length, body.rows.length + CHUNK));
  const named = table.tHead.rows[0].lastElementChild.textContent === "Name";
  const called = (row) => named ? row.lastElementChild.textContent.toLowerCase() : "";
  const show = () => {
    const classes = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const wanted = search.value.trim();
    matching = rows.filter((row) => classes.has(row.className) && (row.cells[0].textContent.includes(wanted) || called(row).includes(wanted.toLowerCase())));
    body.replaceChildren();
    more();
    frame.scrollTop = 0;
    status.textContent = `${matching.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} match`;
  };

  // Numbers as numbers, words as words; what is not known goes last either way.
  const keyOf = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.key ?? cell.textContent.trim();
    if (!numeric) return text;
    const value = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(value) ? null : value;
  };
  const sort = (column, ascending) => {
    const numeric = headers[column].dataset.type === "number";
    const keys = new Map(rows.map((row) => [row, keyOf(row, column, numeric)]));
    const sign = ascending ? 1 : -1;
    rows.sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (numeric ? x - y : collator.compare(x, y));
    });
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    headers[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    show();
  };

  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const current = header.getAttribute("aria-sort");
      sort(column, current === null ? header.dataset.first === "ascending" : current === "descending");
    });
  });
  frame.addEventListener("scroll", () => {
    if (frame.scrollTop + 3 * frame.clientHeight > frame.scrollHeight) more();
  }, { passive: true });
  tools.addEventListener("input", show);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.hidden = false;
  // Without cards a feature's address is its row.
  const arrive = () => {
    const number = /^#feature-(\d+)$/.exec(location.hash)?.[1];
    if (number && !document.getElementById("gallery")) search.value = number;
    show();
    if (number) document.getElementById(`feature-${number}`)?.scrollIntoView({ block: "nearest" });
  };
  addEventListener("hashchange", arrive);
  arrive();
})();
