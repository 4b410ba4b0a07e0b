import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { git } from "../../test/model/small-repository.ts";
import { connectInProcess } from "../../test/support/mcp-in-process.ts";

test("tells the sessions of this project, anywhere in its work trees, from those of others", async () => {
  const root = await mkdtemp(join(tmpdir(), "list-sessions-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(root, { recursive: true }));
  const sessions = stack.use(new MemorySessions());
  for (const name of ["project", "other"]) {
    await git(root, "init", "-q", name);
    await git(
      join(root, name),
      "-c",
      "user.name=a",
      "-c",
      "user.email=a@b",
      "commit",
      "-q",
      "--allow-empty",
      "-m",
      "x",
    );
  }
  await git(join(root, "project"), "worktree", "add", "-q", "../tree");
  const stateDirectory = join(root, "state");
  const call = async (directory: string, name: string, args: Record<string, unknown>) => {
    await using client = await connectInProcess({
      sessions,
      project: { directory: join(root, directory), stateDirectory },
    });
    const result = await client.callTool({ name, arguments: args });
    return (result.content[0] as { text: string }).text;
  };
  await mkdir(join(root, "project/below"));
  for (const place of ["project", "tree", "project/below", "other"])
    await call(place, "spawn_claude_container", { task: `in ${place}`, wait: false });
  await call("project", "spawn_claude_container", { task: "in none", repository: "none", wait: false });
  const tasks = (text: string) => text.match(/^of .*|in [\w/]+$/gm);
  const ours = ["in project/below", "in tree", "in project"];
  const inProject = ["of this project:", ...ours, "of other projects, or of none:", "in none", "in other"];
  for (const place of ["project", "tree", "project/below"])
    expect(tasks(await call(place, "list_sessions", {}))).toEqual(inProject);
  expect(tasks(await call("..", "list_sessions", {}))).toEqual(["in none", "in other", ...ours]);
});
