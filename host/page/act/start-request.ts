import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, durationFromMs } from "@bufbuild/protobuf/wkt";
import { EgressSpec_Mode as Mode, SessionSpecSchema } from "../../../proto/index.ts";
import type { StartSessionsRequestSchema } from "../../../proto/control.ts";

const EGRESS: Record<string, Mode> = { none: Mode.NONE, listed: Mode.LISTED, open: Mode.OPEN };
const GIB = 1024 ** 3;

/** Returns what the form's fields ask for. What is left empty is the host's to say. */
export function toStartRequest(fields: FormData): MessageInitShape<typeof StartSessionsRequestSchema> {
  const text = (name: string) => String(fields.get(name) ?? "").trim();
  const number = (name: string) => Number(text(name));
  const place = text("place");
  const isDirectory = /^[/~]/.test(place);
  const uri = isDirectory ? "" : place;
  const command = (name: string) => (text(name) === "" ? {} : { [name]: { command: text(name) } });
  const egress = EGRESS[text("egress")];
  const allowed = text("allowed").split(/[\s,]+/).filter((each) => each !== ""); // prettier-ignore
  const spec = create(SessionSpecSchema, {
    task: String(fields.get("task") ?? ""),
    model: text("model"),
    permissionMode: text("permissionMode"),
    maxStepCount: number("steps"),
    budget: {
      maxCostUsd: number("cost"),
      maxTokenCount: BigInt(number("tokens")),
      maxRequestCount: number("requests"),
    },
    ...(place !== "" && { repository: { uri, ref: isDirectory ? "" : text("ref"), depth: number("history") } }),
    ...minutes("timeout", text("timeout")),
    ...minutes("idleTimeout", text("idleTimeout")),
    ...minutes("decisionTimeout", text("decisionTimeout")),
    ...command("setup"),
    ...command("check"),
    ...((egress !== undefined || allowed.length > 0) && {
      egress: { mode: egress ?? Mode.UNSPECIFIED, allowedDestinations: allowed },
    }),
    loadProjectSettings: fields.has("loadProjectSettings"),
  });
  return {
    directory: isDirectory ? place : "",
    spec,
    container: {
      image: text("image"),
      memoryBytes: BigInt(Math.round(number("memory") * GIB)),
      ...(text("cpus") !== "" && { cpuCount: number("cpus") }),
    },
    attemptCount: number("attempts"),
  };
}

/** Reads minutes. An empty field has no member at all: a duration of 0 would be a limit. */
function minutes<Name extends string>(name: Name, text: string): Partial<Record<Name, Duration>> {
  if (text === "") return {};
  return { [name]: durationFromMs(Math.round(Number(text) * 60_000)) } as Record<Name, Duration>;
}
