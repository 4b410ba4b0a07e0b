import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PermissionRequestedSchema } from "../../proto/index.ts";
import { waitingFor } from "./waiting-for.ts";

test("shows a decision that a container made up as plain text, and no time that there is not", () => {
  const request = create(PermissionRequestedSchema, {
    requestId: "1\x1b[2J",
    toolName: "Bash\u202e",
    inputJson: "{}\x9b",
    expireTime: { seconds: 2n ** 60n, nanos: 0 },
  });
  expect(waitingFor({ kind: "permission", request })).toEqual({
    request_id: "1[2J",
    kind: "permission",
    tool: "Bash",
    input: "{}",
    expire_time: "",
  });
});
