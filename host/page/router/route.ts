/** What the page shows. */
export type Route =
  | { name: "sessions" }
  | { name: "session"; id: string }
  | { name: "changes"; id: string }
  | { name: "compare"; ids: string[] }
  | { name: "usage" }
  | { name: "unknown" };

/** Returns the route that an address' fragment names. */
export function parseRoute(fragment: string): Route {
  const [path = "", query = ""] = fragment.replace(/^#/, "").split("?", 2);
  const [first = "", id = "", part] = path.split("/").slice(1).map(decode);
  if (first === "") return { name: "sessions" };
  if (first === "usage") return { name: "usage" };
  if (first === "compare") {
    const ids = new URLSearchParams(query).get("ids")?.split(",") ?? [];
    return { name: "compare", ids: ids.filter((one) => one !== "") };
  }
  if (first !== "session" || id === "") return { name: "unknown" };
  if (part === undefined) return { name: "session", id };
  return part === "changes" ? { name: "changes", id } : { name: "unknown" };
}

/** Returns the fragment of a route, for links. */
export function hrefOf(route: Exclude<Route, { name: "unknown" }>): string {
  switch (route.name) {
    case "sessions":
      return "#/";
    case "usage":
      return "#/usage";
    case "compare":
      return `#/compare?${new URLSearchParams({ ids: route.ids.join(",") })}`;
    case "session":
      return `#/session/${encodeURIComponent(route.id)}`;
    case "changes":
      return `#/session/${encodeURIComponent(route.id)}/changes`;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
