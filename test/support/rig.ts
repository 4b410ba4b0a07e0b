import { randomBytes } from "node:crypto";
import { type GitServer, startGitServer } from "./git-server.ts";
import { type McpRig, startMcpServer } from "./mcp-client.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { type ScriptedModel, startScriptedModel } from "../model/scripted-model.ts";

/** Everything that a session needs, with a random key that only the host and the model know. */
export interface Rig extends AsyncDisposable {
  model: ScriptedModel;
  key: string;
  git: GitServer;
  /** A repository with the files of SMALL_REPOSITORY. */
  repository: string;
  mcp: McpRig;
}

/** Starts a scripted model, a git server and the real MCP server with a host of its own. */
export async function startRig(): Promise<Rig> {
  await using stack = new AsyncDisposableStack();
  const key = `sk-ant-test-${randomBytes(24).toString("hex")}`;
  const model = stack.use(await startScriptedModel({ key }));
  const git = stack.use(await startGitServer());
  const repository = await git.addRepository("greeter", SMALL_REPOSITORY);
  const mcp = stack.use(await startMcpServer({ config: { base_url: model.url, credential: { api_key: key } } }));
  const owned = stack.move();
  return { model, key, git, repository, mcp, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
