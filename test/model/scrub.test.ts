import { expect, it } from "vitest";
import { scrub } from "./scrub.ts";

it("takes paths, process ids and session ids out of a recording, and keeps equal ids equal", () => {
  const root = "/tmp/scripted-claude-aB3";
  const one = "d2100000-1111-4222-8333-444444444444";
  const two = "e2100000-1111-4222-8333-444444444444";
  const text = `${root}/repository/a ${root}/home/.claude/projects/-tmp-scripted-claude-aB3-repository ${root}/x /tmp/cc-socks/77.sock ${one} ${two} ${one}`;
  expect(scrub(text, { root, workspace: `${root}/repository` })).toBe(
    "/workspace/a /home/agent/.claude/projects/-workspace /tmp/x /tmp/cc-socks/1.sock 00000000-0000-4000-8000-000000000001 00000000-0000-4000-8000-000000000002 00000000-0000-4000-8000-000000000001",
  );
});
