// Addresses of views: #/RUN/FEATURES/VIEW/ITEM?WHAT=HOW.

const decoded = (part) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray percent sign, in an address that somebody typed
  }
};

export function address() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { run: parts[0], set: parts[1], view: parts[2] || "features", item: parts[3], asked: new URLSearchParams(search) };
}

export const to = (run, set, view, item, asked) => {
  const parts = [run, set, view, item].filter((part) => part !== undefined && part !== null && part !== "");
  const search = asked && [...new URLSearchParams(asked)].length ? `?${new URLSearchParams(asked)}` : "";
  return "#/" + parts.map(encodeURIComponent).join("/") + search;
};
