import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { SessionSchema, Session_State, TakenChanges_Kind } from "../../../proto/index.ts";
import { countGroups, listRows } from "./groups.ts";

const spec = (task: string, uri: string) => ({ task, repository: { uri } });
const changed = { changeCount: 1 };
const SESSIONS = [
  { id: "1", state: Session_State.WAITING, spec: spec("Ask for more", "https://a.example/one") },
  { id: "2", state: Session_State.RUNNING, spec: spec("Run", "https://a.example/two") },
  { id: "3", state: Session_State.QUEUED, live: { queuePosition: 2 } },
  { id: "4", state: Session_State.QUEUED, live: { queuePosition: 1 } },
  { id: "5", state: Session_State.SUCCEEDED, result: changed, endTime: timestampFromMs(2000) },
  { id: "6", state: Session_State.SUCCEEDED, result: changed, endTime: timestampFromMs(1000) },
  { id: "7", state: Session_State.SUCCEEDED, result: changed, taken: { kind: TakenChanges_Kind.BRANCH } },
  { id: "8", state: Session_State.CANCELED },
  { id: "9", state: Session_State.FAILED, result: changed },
  { id: "a", state: Session_State.PREPARING, waitingReason: "no room" },
  { id: "b", state: Session_State.IDLE, spec: spec("Talk", "https://a.example/one") },
].map((fields) => create(SessionSchema, fields));

const all = { group: "", repository: "", search: "" } as const;
const shown = (filter: object) =>
  listRows(SESSIONS, { ...all, ...filter }).map((row) =>
    "session" in row ? row.session.id : `${row.group} ${row.count}`,
  );

test("sessions stand in their groups, what needs a person first", () => {
  expect(shown({})).toEqual([
    ...["attention 3", "1", "a", "b"],
    ...["working 1", "2"],
    ...["queued 2", "4", "3"],
    ...["unapplied 2", "5", "6"],
    ...["failed 1", "9"],
    ...["finished 2", "8", "7"],
  ]);
  expect(countGroups(SESSIONS)).toEqual({ attention: 3, working: 1, queued: 2, unapplied: 2, failed: 1, finished: 2 });
});

test("a filter leaves what fits all of it", () => {
  expect(shown({ group: "queued" })).toEqual(["queued 2", "4", "3"]);
  expect(shown({ repository: "https://a.example/one" })).toEqual(["attention 2", "1", "b"]);
  expect(shown({ search: "MORE ask" })).toEqual(["attention 1", "1"]);
  expect(shown({ search: "a.example run", group: "working" })).toEqual(["working 1", "2"]);
  expect(shown({ search: "nothing like it" })).toEqual([]);
});
