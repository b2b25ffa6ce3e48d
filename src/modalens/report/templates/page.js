// Chapters: the one that an address asks for is open; all are open in print. And the terms of the glossary, linked
// where each first appears in a chapter.
(() => {
  const chapters = [...document.querySelectorAll("details.chapter")];
  const unfold = (target) => {
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };

  // Addresses of features are those of the galleries (or, without these, of the table), which show and find the feature.
  const asked = () => {
    if (/^#features\/|^#feature-\d+$/.test(location.hash))
      return [document.getElementById("gallery") ?? document.getElementById("features"), false];
    try {
      return [document.getElementById(decodeURIComponent(location.hash.slice(1))), true];
    } catch {
      return [null, false];
    }
  };
  const arrive = () => {
    const [target, there] = asked();
    if (!target) return;
    unfold(target);
    if (there) target.scrollIntoView();
  };
  addEventListener("hashchange", arrive);
  document.addEventListener("click", (event) => {
    // The same address again changes nothing, but its chapter may have been closed since.
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) arrive();
  });
  arrive();

  const button = document.getElementById("open-all");
  const all = (open) => chapters.forEach((each) => { each.open = open; });
  button.addEventListener("click", () => {
    const open = button.textContent === "Open all";
    all(open);
    button.textContent = open ? "Close all" : "Open all";
  });
  button.hidden = false;

  let before = null;
  addEventListener("beforeprint", () => { before ??= chapters.map((each) => each.open); all(true); });
  addEventListener("afterprint", () => {
    before?.forEach((open, at) => { chapters[at].open = open; });
    before = null;
  });

  // Terms: longest first, so that none is found inside another.
  const entries = [...document.querySelectorAll("#glossary dt[data-terms]")].flatMap((entry) =>
    entry.dataset.terms.split("|").map((word) => [word, entry]));
  const byWord = new Map(entries);
  const words = [...byWord.keys()].sort((a, b) => b.length - a.length);
  if (!words.length) return;
  const escaped = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}_@])(?:${escaped.join("|")})(?![\\p{L}\\p{N}_@])`, "gu");
  const never = "a, button, summary, label, svg, script, pre, code, audio, .browse, .samples, .summary, #glossary, #made";
  for (const part of [document.getElementById("overview"), ...chapters]) {
    if (!part) continue;
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    const linked = new Set();
    for (const text of texts) {
      if (!text.data.trim() || text.parentElement.closest(never)) continue;
      const pieces = [];
      let from = 0;
      for (const { 0: word, index } of text.data.matchAll(pattern)) {
        const entry = byWord.get(word);
        if (linked.has(entry)) continue;
        linked.add(entry);
        const link = document.createElement("a");
        link.className = "term";
        link.href = `#${entry.id}`;
        link.title = entry.nextElementSibling.textContent.trim().slice(0, 300);
        link.textContent = word;
        pieces.push(text.data.slice(from, index), link);
        from = index + word.length;
      }
      if (pieces.length) text.replaceWith(...pieces, text.data.slice(from));
    }
  }
})();
