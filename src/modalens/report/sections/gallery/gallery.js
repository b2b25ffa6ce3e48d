// The galleries. All is drawn from one block of data by DOM calls, so that no caption can become markup, and all
// that is shown follows from the address, so that links and the back button work:
// #features/NAME/LABEL, #features/NAME/NUMBER, #features/NAME/random/SEED, #features/NAME/search/WORDS, and, of the first
// representation that has it, #feature-NUMBER.
(() => {
  const section = document.getElementById("gallery");
  const data = JSON.parse(document.getElementById("gallery-data").textContent);
  const [nameList, viewList] = section.querySelectorAll("nav ul");
  const [about, list, more] = [".about", ".cards", ".more"].map((name) => section.querySelector(name));
  const title = document.getElementById("gallery-title");
  const status = document.getElementById("gallery-status");
  const search = document.getElementById("gallery-search");
  const button = more.firstElementChild;
  const ROLES = ["first", "cross", "second"];
  const PAGE = 24, DRAWN = 12, FEW = [8, 4];

  const make = (namespace) => (tag, attributes = {}, ...children) => {
    const node = document.createElementNS(namespace, tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const el = make("http://www.w3.org/1999/xhtml");
  const svg = make("http://www.w3.org/2000/svg");

  // Numbers and names
  const known = (value) => value !== null;
  // What rounds to 0 has no sign.
  const fixed = (value, digits) => known(value)
    ? (Number(value.toFixed(digits)) + 0).toFixed(digits).replace("-", "−") : "—";
  // Decimals that give the largest of some numbers three digits, the same for all of them.
  const decimals = (values) => Math.min(Math.max(2 - Math.floor(Math.log10(Math.max(...values.map(Math.abs)) || 1)), 0), 6);
  const count = (value) => value.toLocaleString("en");
  const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
  const address = (gallery, ...parts) => ["#features", gallery.name, ...parts].map(
    (part, at) => at ? encodeURIComponent(part) : part).join("/");
  const short = (gallery, role) => gallery.shorts[role];
  const classed = (gallery, role) => gallery.cards.filter((card) => card.role === role);
  for (const gallery of data.galleries) gallery.byFeature = new Map(gallery.cards.map((card) => [card.feature, card]));

  // Words, split as the index was
  const WORD = /[\p{L}\p{N}_]+/gu;
  const wordsOf = (text) => text.normalize("NFKC").toLowerCase().match(WORD) ?? [];
  const textsWith = (terms) => terms.map((term) => new Set(
    data.words.flatMap((word, at) => word.startsWith(term) ? data.textsWith[at] : []),
  )).reduce((all, found) => new Set([...all].filter((text) => found.has(text))));
  const marked = (text, terms) => text.split(/([\p{L}\p{N}_]+)/u).map((part, at) =>
    at % 2 && wordsOf(part).some((word) => terms.some((term) => word.startsWith(term))) ? el("mark", {}, part) : part);
  // Features called so, then those with most such texts among their strongest, the strongest of those first.
  const searched = (gallery, terms) => {
    const texts = terms.length ? textsWith(terms) : new Set();
    return gallery.cards.map((card) => {
      const ranks = card.top[1].flatMap((sample, rank) => texts.has(data.textOf[sample]) ? [rank] : []);
      const own = wordsOf(card.name);
      const called = terms.length > 0 && terms.every((term) => own.some((word) => word.startsWith(term)));
      return { card, ranks, called, sum: ranks.reduce((sum, rank) => sum + rank, 0) };
    }).filter((hit) => hit.called || hit.ranks.length)
      .sort((a, b) => b.called - a.called || b.ranks.length - a.ranks.length || a.sum - b.sum);
  };

  // A random draw that a link can repeat: mulberry32, and the head of a Fisher-Yates shuffle.
  const drawn = (cards, seed) => {
    let state = seed >>> 0;
    const random = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const pool = [...cards].sort((a, b) => a.feature - b.feature);
    for (let at = 0; at < Math.min(DRAWN, pool.length); at++) {
      const other = at + Math.floor(random() * (pool.length - at));
      [pool[at], pool[other]] = [pool[other], pool[at]];
    }
    return pool.slice(0, DRAWN);
  };

  // Pictures and sounds come into the page when their card comes near the screen.
  const fill = (card) => card.querySelectorAll("[data-at]").forEach((preview) => {
    preview.src = data.previews[preview.dataset.at];
    delete preview.dataset.at;
  });
  const watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    fill(entry.target);
    watcher.unobserve(entry.target);
  }), { rootMargin: "600px" });
  addEventListener("beforeprint", () => fill(list));

  // Parts of a card
  const featureLink = (gallery, feature) => gallery.byFeature.has(feature)
    ? el("a", { href: address(gallery, String(feature)) }, String(feature)) : String(feature);

  // Copies a feature's own address; where a browser forbids that, the address bar shows it.
  const copier = (gallery, feature) => {
    const button = el("button", { type: "button", class: "copy", "aria-label": `Copy the link to feature ${feature}` }, "Copy link");
    button.addEventListener("click", async () => {
      const link = address(gallery, String(feature));
      try {
        await navigator.clipboard.writeText(new URL(link, location.href).href);
        button.textContent = "Copied";
      } catch {
        location.hash = link;
      }
    });
    return button;
  };

  const ruler = (gallery, card, whole) => {
    const [low, high] = card.interval;
    const [first, second] = gallery.modalities;
    const interval = known(low) ? `${fixed(low, 2)} to ${fixed(high, 2)}` : "";
    const spoken = interval && `, 95 % interval ${interval}`;
    const line = el("i", { role: "img", "aria-label":
      `R ${fixed(card.score, 2)}${spoken}; 0 is ${second} alone, 1 is ${first} alone` });
    line.style.setProperty("--s", 100 * card.score);
    line.style.setProperty("--l", 100 * (low ?? card.score));
    line.style.setProperty("--w", known(low) ? 100 * (high - low) : 0);
    return el("div", { class: "ruler" }, el("span", { "aria-hidden": true }, second), line,
      el("span", { "aria-hidden": true }, first), el("b", {}, `R ${fixed(card.score, 2)}`),
      whole && interval ? el("small", {}, interval) : "");
  };

  const mosaic = (samples, values, digits) => el("ul", { class: "mosaic" }, ...samples.map((sample, at) => {
    const text = data.texts[data.textOf[sample]];
    const preview = data.previewOf[sample];
    const shown = preview < 0 ? el("span", { class: "blank", dir: "auto" }, el("span", {}, text || data.ids[sample]))
      : el("img", { alt: text.slice(0, 200) || data.ids[sample], title: text.slice(0, 500), "data-at": preview });
    return el("li", {}, shown, el("small", {}, fixed(values[at], digits)));
  }));

  // Sounds, each with its text: a player tells nothing by its looks.
  const players = (samples, values, digits) => el("ul", { class: "players" }, ...samples.map((sample, at) => {
    const text = data.texts[data.textOf[sample]] || data.ids[sample];
    const preview = data.previewOf[sample];
    return el("li", {}, el("small", {}, fixed(values[at], digits)), el("span", { dir: "auto", title: text.slice(0, 500) }, text),
      preview < 0 ? "" : el("audio", { controls: "", preload: "none", "aria-label": text.slice(0, 200), "data-at": preview }));
  }));

  const lines = (samples, values, digits, terms) => el("ul", { class: "lines" }, ...samples.map((sample, at) => {
    const text = data.texts[data.textOf[sample]] || data.ids[sample];
    return el("li", {}, el("small", {}, fixed(values[at], digits)),
      el("span", { dir: "auto", title: text.length > 80 ? text : null }, ...marked(text, terms)));
  }));

  const side = (gallery, card, at, whole, terms) => {
    let order = card.top[at].map((_, rank) => rank);
    const found = (rank) => wordsOf(data.texts[data.textOf[card.top[1][rank]]])
      .some((word) => terms.some((term) => word.startsWith(term)));
    // What was searched for is shown first, as only a few are.
    if (at && terms.length && !whole) order.sort((a, b) => found(b) - found(a) || a - b);
    if (!whole) order = order.slice(0, FEW[at]);
    const samples = order.map((rank) => card.top[at][rank]), values = order.map((rank) => card.values[at][rank]);
    const digits = decimals(card.values.flat());
    const previews = at ? [] : samples.map((sample) => data.previews[data.previewOf[sample]]).filter(Boolean);
    const listed = previews.some((url) => url.startsWith("data:audio/")) ? players : previews.length ? mosaic : lines;
    // Without pictures or players a sample of the first side stands there as its text, which is not what fires.
    const called = !at && samples.length && listed === lines ? `${gallery.modalities[at]}, shown by its ${gallery.modalities[1]}` : gallery.modalities[at];
    return el("div", { class: "side" },
      el("h5", {}, el("span", {}, called), el("small", {}, `Mono ${fixed(card.mono[at], 2)}`)),
      !samples.length ? el("p", { class: "nothing" }, `No ${gallery.modalities[at]} sample fires it.`)
        : listed(samples, values, digits, terms));
  };

  const histogram = (gallery, card) => {
    const bins = card.counts[0].length;
    const most = Math.max(1, ...card.counts.flat());
    // Heights go by the square root, as most samples sit in the lowest bin and the rare strong ones matter.
    const bars = card.counts.map((side, down) => side.map((n, at) => {
      const height = Math.max(48 * Math.sqrt(n / most), 2) * (down ? 1 : -1);
      return n ? `M${10 * at + 0.75} ${down ? 51 : 49}v${height.toFixed(1)}h8.5v${(-height).toFixed(1)}z` : "";
    }).join(""));
    const [low, high] = card.range;
    const digits = decimals(card.range);
    const fires = card.counts.map((side) => side.reduce((sum, n) => sum + n, 0));
    const spoken = gallery.plurals.map((name, at) =>
      `${count(fires[at])} of ${count(fires[at] + card.zeros[at])} ${name}`).join(" and ");
    const drawing = svg("svg", { viewBox: `0 0 ${10 * bins} 100`, preserveAspectRatio: "none", role: "img",
      "aria-label": `Activations from ${fixed(low, digits)} to ${fixed(high, digits)}: fires for ${spoken}` },
      svg("path", { class: "axis", d: `M0 50h${10 * bins}` }),
      svg("path", { class: "first", d: bars[0] }), svg("path", { class: "second", d: bars[1] }));
    if (low < 0 && high > 0) {
      const zero = (-low / (high - low) * 10 * bins).toFixed(1);
      drawing.prepend(svg("path", { class: "zero", d: `M${zero} 0v100` }));
    }
    return el("figure", {}, drawing, el("figcaption", {}, el("span", {}, fixed(low, digits)),
      el("span", {}, `fires for ${spoken}`), el("span", {}, fixed(high, digits))));
  };

  const verdict = (gallery, card) => {
    const other = gallery.modalities[card.role === 2 ? 0 : 1];
    const name = card.partner < 0 ? [] : [`${other} feature `, featureLink(gallery, card.partner)];
    const r = known(card.correlation) ? ` (correlation ${fixed(card.correlation, 2)})` : "";
    const rest = {
      split: [" its other half is ", ...name, `${r}.`],
      private: name.length ? [" a partner is ruled out; the nearest to one is ", ...name, `${r}.`]
        : [" a partner is ruled out."],
      unclear: name.length ? [" the best candidate for its other half is ", ...name, `${r}.`]
        : [` whether a ${other} feature goes with it cannot be told.`],
    }[card.verdict];
    return el("p", { class: "verdict" }, el("b", {}, { split: "Split:", private: "Private:", unclear: "Unclear:" }[card.verdict]), ...rest);
  };

  // A name stands with what it was tested on: samples that played no part in naming.
  const nameOf = (gallery, card, whole, terms) => !card.name ? "" : el("p", { class: "name" }, el("b", {}, ...marked(card.name, terms)), " ",
    el("small", {}, card.named.map(([auc, shuffled], at) => known(auc)
      ? `${gallery.modalities[at]} ${fixed(auc, 2)}${whole ? ` (other names ${fixed(shuffled, 2)})` : ""}` : "").filter(Boolean).join(", ")));

  const cardOf = (gallery, { card, ranks, called }, whole, terms) => {
    const heading = `feature-${card.feature}`;
    const sides = card.role === 2 ? [1, 0] : [0, 1];
    const certainty = known(card.certainty) ? el("small", {}, `certainty ${fixed(100 * card.certainty, 0)}\u00a0%`) : "";
    const article = el("article", { class: `card ${ROLES[card.role]}`, tabindex: -1, "aria-labelledby": heading },
      el("header", {},
        el("h4", { id: heading }, el("a", { href: address(gallery, String(card.feature)) }, `Feature ${card.feature}`)),
        el("span", { class: "of" }, el("span", { class: `swatch ${ROLES[card.role]}` }), short(gallery, card.role)), certainty,
        whole ? copier(gallery, card.feature) : ""),
      nameOf(gallery, card, whole, terms),
      ruler(gallery, card, whole),
      card.found[1] ? el("p", { class: card.found[0] ? "seeds" : "seeds alone" }, card.found[0]
        ? `Found again in ${card.found[0]} of ${plural(card.found[1], "other seed")}`
        : `No other seed found it (0 of ${card.found[1]})`) : "",
      called ? el("p", { class: "hit" }, "In its name") : "",
      ranks?.length ? el("p", { class: "hit" }, `In ${ranks.length} of its ${card.top[1].length} strongest texts`) : "",
      el("div", { class: "sides" }, ...sides.map((at) => side(gallery, card, at, whole, terms))),
      card.range.length ? histogram(gallery, card) : "",
      card.near.length ? el("p", { class: "near" }, el("b", {}, "Near"), ...card.near.flatMap(([feature, cosine]) =>
        [" ", el("span", {}, featureLink(gallery, feature), el("small", {}, ` ${fixed(cosine, 2)}`))])) : "",
      card.verdict ? verdict(gallery, card) : "");
    watcher.observe(article);
    return el("li", {}, article);
  };

  // What an address asks for: a heading, a sentence, and cards
  const views = {
    label: (gallery, label) => {
      const role = gallery.labels.indexOf(label);
      const hits = classed(gallery, role).map((card) => ({ card }));
      const seeded = hits.some(({ card }) => card.found[1]);
      const mono = role === 1 ? "the mean Mono of both sides" : `Mono on the ${label} side`;
      return { role, hits, title: `${short(gallery, role)} features of ${gallery.name}`,
        status: `${plural(hits.length, "feature")}${!hits.length ? "" : seeded
          ? `, those that at least half of the other seeds find first, then by ${mono}` : `, highest ${mono} first`}` };
    },
    feature: (gallery, number) => {
      const card = gallery.byFeature.get(number);
      if (!card) return { hits: [], title: `Feature ${number} of ${gallery.name}`,
        status: "This page has no card for it: it never fires, or was not chosen." };
      const partner = gallery.byFeature.get(card.partner);
      return { role: card.role, whole: true, hits: [card, partner].filter(Boolean).map((card) => ({ card })),
        title: `Feature ${number} of ${gallery.name}`,
        status: partner ? `Beside it feature ${card.partner}, its best match on the other side`
          : "With its strongest samples of either side" };
    },
    random: (gallery, seed) => ({ seed, hits: drawn(gallery.cards, seed).map((card) => ({ card })),
      title: `Random features of ${gallery.name}`,
      status: `${plural(Math.min(DRAWN, gallery.cards.length), "feature")} of ${count(gallery.cards.length)}, draw ${seed}; the same link draws the same` }),
    search: (gallery, query) => {
      const terms = wordsOf(query), hits = searched(gallery, terms);
      return { query, terms, hits, title: `“${query}” in ${gallery.name}`,
        status: `${plural(hits.length, "feature")} with ${terms.length > 1 ? "words" : "a word"} that begin${terms.length > 1 ? "" : "s"} so in the name or a strongest text` };
    },
  };
  const decoded = (part) => { try { return decodeURIComponent(part); } catch { return part; } };
  const home = (gallery) => gallery.labels.find((_, role) => classed(gallery, role).length) ?? gallery.labels[0];
  const read = () => {
    const [head, name, kind, value] = location.hash.split("/").map(decoded);
    const gallery = data.galleries.find((each) => each.name === name) ?? data.galleries[0];
    const here = head === "#features";
    const number = /^#feature-(\d+)$/.exec(location.hash)?.[1];
    if (number) {
      const holder = data.galleries.find((each) => each.byFeature.has(Number(number))) ?? gallery;
      return [holder, views.feature(holder, Number(number))];
    }
    if (here && gallery.labels.includes(kind)) return [gallery, views.label(gallery, kind)];
    if (here && kind === "random") return [gallery, views.random(gallery, Number.parseInt(value, 10) || 1)];
    if (here && kind === "search") return [gallery, views.search(gallery, value ?? "")];
    if (here && /^\d+$/.test(kind)) return [gallery, views.feature(gallery, Number(kind))];
    return [gallery, views.label(gallery, home(gallery))];
  };

  // Show it
  let gallery, view, shown;
  const append = (many) => {
    const next = view.hits.slice(shown, shown + many).map((hit) => cardOf(gallery, hit, view.whole ?? false, view.terms ?? []));
    list.append(...next);
    shown += next.length;
    const left = view.hits.length - shown;
    more.hidden = !left;
    button.textContent = `Show ${Math.min(PAGE, left)} more`;
    status.textContent = `${view.status}${left ? `; ${count(shown)} shown` : ""}.`;
    return next;
  };
  const pick = (items, entries) => {
    while (items.children.length < entries.length) items.append(el("li", {}, el("a")));
    entries.forEach(({ href, current, content }, at) => {
      const link = items.children[at].firstElementChild;
      link.href = href;
      link.toggleAttribute("aria-current", false);
      if (current) link.setAttribute("aria-current", "true");
      link.replaceChildren(...content);
    });
  };
  const show = (many = PAGE) => {
    const inside = list.contains(document.activeElement);
    [gallery, view] = read();
    pick(nameList, data.galleries.map((each) => ({ current: each === gallery,
      href: address(each, ...(view.query ? ["search", view.query] : [view.role === undefined ? home(each) : each.labels[view.role]])),
      content: [each.name, el("small", {}, count(each.cards.length))] })));
    pick(viewList, [...gallery.labels.map((label, role) => ({ current: view.role === role, href: address(gallery, label),
      content: [el("span", { class: `swatch ${ROLES[role]}` }), short(gallery, role), el("small", {}, count(classed(gallery, role).length))] })),
    { current: Boolean(view.seed), href: address(gallery, "random", String((view.seed ?? 0) + 1)),
      content: view.seed ? ["Draw again"] : [el("span", {}, "Random", el("span", { class: "wide-only" }, " features"))] }]);
    about.textContent = `${gallery.note} Classes by the rule ${gallery.rule}.`;
    title.textContent = view.title;
    if (search.value.trim() !== (view.query ?? "")) search.value = view.query ?? "";
    watcher.disconnect();
    list.replaceChildren();
    list.classList.toggle("whole", view.whole ?? false);
    shown = 0;
    append(many);
    if (inside) title.focus({ preventScroll: true });
  };

  // Going back returns to the card one came from; going on starts at the top of the gallery.
  const top = () => section.querySelector(".picks");
  const arrive = () => {
    if (location.hash && !/^#features\/|^#feature-\d+$/.test(location.hash)) return;
    const before = history.state;
    show(before?.shown);
    if (before?.y !== undefined) {
      scrollTo({ top: before.y, behavior: "instant" });
      document.getElementById(before.focus)?.firstElementChild.focus({ preventScroll: true });
    } else if (location.hash) {
      const { top: y } = top().getBoundingClientRect();
      if (y < 0 || y > innerHeight / 2) top().scrollIntoView({ behavior: "instant" });
    }
  };
  addEventListener("hashchange", arrive);
  section.addEventListener("click", (event) => {
    if (!event.target.closest("a[href^='#']")) return;
    const focus = event.target.closest(".card")?.getAttribute("aria-labelledby");
    history.replaceState({ y: scrollY, shown, focus }, "");
  }, { capture: true });
  button.addEventListener("click", () => append(PAGE)[0].firstElementChild.focus());

  let typing;
  const seek = () => {
    const query = search.value.trim();
    if (query === (view.query ?? "")) return;
    const to = query ? address(gallery, "search", query) : address(gallery, home(gallery));
    if (view.query === undefined) history.pushState(null, "", to); else history.replaceState(null, "", to);
    show();
  };
  search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(seek, 150); });
  search.form.addEventListener("submit", (event) => { event.preventDefault(); seek(); });

  const step = (by) => {
    const cards = [...list.querySelectorAll(".card")];
    const at = cards.indexOf(document.activeElement.closest(".card"));
    if (at + by >= cards.length && !more.hidden) cards.push(...append(PAGE).map((item) => item.firstElementChild));
    const first = cards.findIndex((card) => card.getBoundingClientRect().bottom > 0);
    const next = cards[at < 0 ? first : at + by];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
    return Boolean(next);
  };
  document.addEventListener("keydown", (event) => {
    const { top: y, bottom } = section.getBoundingClientRect();
    if (y === bottom || event.ctrlKey || event.metaKey || event.altKey || y > innerHeight || bottom < 0) return;
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Escape" && event.target === search) { search.value = ""; seek(); }
      return;
    }
    const onCard = event.target.matches(".card");
    const by = { j: 1, k: -1, ...(onCard && { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }) }[event.key];
    if (event.key === "/") search.focus(); else if (!by || !step(by)) return;
    event.preventDefault();
  });

  section.querySelector(".browse").hidden = false;
  arrive();
  if (view === undefined) show();
})();
