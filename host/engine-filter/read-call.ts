import { LABELS, SUPPLY_NAME } from "../runtime/docker/labels.ts";
import { refused } from "./refused.ts";

/** Call to the engine that may be passed on if its target may be touched. */
export interface Call {
  kind: CallKind;
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Image, id or name of the container, or id of the exec. Empty: there is none. */
  target: string;
  /** Parameters of this kind of call, each checked, and no other. */
  query: Readonly<Record<string, string>>;
}

/** Kind of a call that sessions need. */
export type CallKind =
  | "info"
  | "image"
  | "list"
  | "create"
  | "inspect"
  | "start"
  | "wait"
  | "kill"
  | "remove"
  | "logs"
  | "stats"
  | "exec"
  | "startExec"
  | "fill"
  | "createVolume"
  | "volume"
  | "volumes"
  | "removeVolume";

interface Shape {
  kind: CallKind;
  method: Call["method"];
  /** Its group, if it has one, is the target. */
  path: RegExp;
  query: Record<string, RegExp>;
}

const escaped = (text: string) => text.replaceAll(".", "\\.");
const LIST_FILTERS = new RegExp(
  `^\\{"label":\\["(?:${escaped(LABELS.uid)}(?:=[1-9][0-9]{0,9})?|${escaped(LABELS.host)}=[\\w.@-]{1,128})"\\]\\}$`,
);
const TRUE = /^true$/;
const SUPPLY = new RegExp(`^/volumes/(${SUPPLY_NAME.source.slice(1, -1)})$`);
const SUPPLIES = new RegExp(`^\\{"label":\\["${escaped(LABELS.supply)}"\\]\\}$`);

/** All that `host/runtime/docker/engine.ts` calls. Nothing in a path is decoded: it is what is written here or refused. */
const SHAPES: readonly Shape[] = [
  { kind: "info", method: "GET", path: /^\/info$/, query: {} },
  { kind: "image", method: "GET", path: /^\/images\/(.{1,255})\/json$/, query: {} },
  { kind: "list", method: "GET", path: /^\/containers\/json$/, query: { all: TRUE, filters: LIST_FILTERS } },
  { kind: "create", method: "POST", path: /^\/containers\/create$/, query: { name: /^[\w.-]{1,200}$/ } },
  onContainer("inspect", "GET", "/json"),
  onContainer("start", "POST", "/start"),
  onContainer("wait", "POST", "/wait"),
  onContainer("kill", "POST", "/kill"),
  onContainer("logs", "GET", "/logs", { stdout: TRUE, stderr: TRUE, tail: /^[1-9][0-9]{0,2}$/ }),
  onContainer("stats", "GET", "/stats", { stream: /^false$/, "one-shot": TRUE }),
  onContainer("exec", "POST", "/exec"),
  // By its name, too: of a create that was never answered nothing else is known.
  {
    kind: "remove",
    method: "DELETE",
    path: /^\/containers\/([0-9a-f]{64}|claudecluster-[\w.-]{1,200})$/,
    query: { force: TRUE, v: TRUE },
  },
  onContainer("fill", "PUT", "/archive", { path: /^\/supply$/ }),
  { kind: "createVolume", method: "POST", path: /^\/volumes\/create$/, query: {} },
  { kind: "volume", method: "GET", path: SUPPLY, query: {} },
  { kind: "volumes", method: "GET", path: /^\/volumes$/, query: { filters: SUPPLIES } },
  { kind: "removeVolume", method: "DELETE", path: SUPPLY, query: {} },
  { kind: "startExec", method: "POST", path: /^\/exec\/([0-9a-f]{64})\/start$/, query: {} },
];

function onContainer(kind: CallKind, method: Call["method"], end: string, query: Record<string, RegExp> = {}): Shape {
  return { kind, method, path: new RegExp(`^/containers/([0-9a-f]{64})${end}$`), query };
}

/** Parses a request's first line. Throws ENGINE_CALL_REFUSED for a call that sessions do not need. */
export function readCall(method: string, url: string): Call {
  const [path = "", search, ...more] = url.split("?");
  const shape = SHAPES.find((each) => each.method === method && each.path.test(path));
  if (shape === undefined || more.length > 0) throw refused("The engine filter does not pass on this call.");
  const { kind } = shape;
  return { kind, method: shape.method, target: shape.path.exec(path)?.[1] ?? "", query: readQuery(shape, search) };
}

function readQuery({ query, kind }: Shape, search: string | undefined): Record<string, string> {
  const given = [...new URLSearchParams(search)];
  const names = Object.keys(query);
  const exact = given.length === names.length && names.every((name) => given.some(([key]) => key === name));
  const wrong = given.find(([name, value]) => !query[name]?.test(value));
  if (exact && wrong === undefined) return Object.fromEntries(given);
  throw refused(`The engine filter does not pass on the parameters of this call (${kind}).`);
}

/** Returns the target of the first line for the engine, written anew with this target and query. */
export function engineUrl(kind: CallKind, target: string, query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return search === "" ? enginePath(kind, target) : `${enginePath(kind, target)}?${search}`;
}

function enginePath(kind: CallKind, target: string): string {
  switch (kind) {
    case "info":
      return "/info";
    case "image":
      return `/images/${target}/json`;
    case "list":
      return "/containers/json";
    case "create":
      return "/containers/create";
    case "inspect":
      return `/containers/${target}/json`;
    case "remove":
      return `/containers/${target}`;
    case "fill":
      return `/containers/${target}/archive`;
    case "createVolume":
      return "/volumes/create";
    case "volumes":
      return "/volumes";
    case "volume":
    case "removeVolume":
      return `/volumes/${target}`;
    case "startExec":
      return `/exec/${target}/start`;
    case "start":
    case "wait":
    case "kill":
    case "logs":
    case "stats":
    case "exec":
      return `/containers/${target}/${kind}`;
  }
}
