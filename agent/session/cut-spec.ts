import { create, toBinary } from "@bufbuild/protobuf";
import { cutText, type SessionSpec, SessionSpecSchema } from "../../proto/index.ts";

const TASK_BYTES = 32 * 1024;
/** With the task this stays below the 64 KiB of an event. */
const REST_BYTES = 24 * 1024;

/** Returns the spec as an event holds it: the task cut, long lists left out. */
export function cutSpec(spec: SessionSpec): SessionSpec {
  const cut = create(SessionSpecSchema, { ...spec, task: "" });
  if (toBinary(SessionSpecSchema, cut).length > REST_BYTES) cut.environment = {};
  if (toBinary(SessionSpecSchema, cut).length > REST_BYTES) cut.allowedTools = [];
  if (toBinary(SessionSpecSchema, cut).length > REST_BYTES) delete cut.userFiles;
  if (toBinary(SessionSpecSchema, cut).length > REST_BYTES) delete cut.repository;
  cut.task = cutText(spec.task, TASK_BYTES).text;
  return cut;
}
