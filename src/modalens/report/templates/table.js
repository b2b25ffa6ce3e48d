// The feature table: sort by any column, filter by class, find a number. Without it the table still reads.
(() => {
  const table = document.getElementById("feature-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const tools = document.getElementById("feature-tools");
  const search = tools.querySelector("input[type=search]");
  const boxes = Array.from(tools.querySelectorAll("input[type=checkbox]"));
  const status = document.getElementById("feature-status");
  const headers = Array.from(table.tHead.rows[0].cells);
  const collator = new Intl.Collator("en", { numeric: true });

  // Numbers as numbers, words as words; what is not known goes last either way.
  const keys = new Map();
  const keysOf = (column) => {
    if (!keys.has(column)) {
      const texts = rows.map((row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim());
      const numeric = headers[column].dataset.type === "number";
      keys.set(column, new Map(rows.map((row, i) => {
        const value = numeric ? parseFloat(texts[i].replaceAll(",", "")) : texts[i];
        return [row, numeric && Number.isNaN(value) ? null : value];
      })));
    }
    return keys.get(column);
  };

  const sort = (column, ascending) => {
    const key = keysOf(column);
    const sign = ascending ? 1 : -1;
    rows.sort((a, b) => {
      const x = key.get(a), y = key.get(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "number" ? x - y : collator.compare(x, y));
    });
    body.append(...rows);
    headers.forEach((header, i) => {
      if (i === column) header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else header.removeAttribute("aria-sort");
    });
  };

  const filter = () => {
    const classes = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const wanted = search.value.trim();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !classes.has(row.className) || !(wanted === "" || row.cells[0].textContent.includes(wanted));
      if (!row.hidden) shown += 1;
    }
    status.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
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
  tools.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.hidden = false;
  filter();
})();
