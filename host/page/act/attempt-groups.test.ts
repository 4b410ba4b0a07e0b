import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SessionSchema, type SessionSpecSchema } from "../../../proto/index.ts";
import { attemptGroups } from "./attempt-groups.ts";

const session = (id: string, spec: MessageInitShape<typeof SessionSpecSchema>) => create(SessionSchema, { id, spec });
const snapshot = (untrackedCommitId: string) => ({ repository: { snapshot: { untrackedCommitId } } });

test("attempts are sessions of one task on one state, those with the newest first", () => {
  const groups = attemptGroups([
    session("1", { task: "a", ...snapshot("x") }),
    session("2", { task: "b", repository: { uri: "https://example.com/x" } }),
    session("3", { task: "a", ...snapshot("y") }),
    session("4", { task: "a", ...snapshot("x") }),
    session("5", { task: "b", repository: { uri: "https://example.com/x" } }),
    session("6", { task: "a", ...snapshot("x"), previousSessionId: "1" }),
    session("7", { task: "c" }),
  ]);
  expect(groups).toEqual([
    { task: "b", ids: ["2", "5"] },
    { task: "a", ids: ["1", "4"] },
  ]);
  const many = Array.from({ length: 20 }, (_, at) => session(String(at), { task: "a" }));
  expect(attemptGroups(many)[0]?.ids).toEqual(many.slice(-8).map(({ id }) => id));
});
