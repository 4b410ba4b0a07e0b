import { randomBytes } from "node:crypto";
import { HostLink } from "../../host/daemon/host-link.ts";
import { HEAP } from "../../host/daemon/start-host.ts";
import type { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { type GitServer, startGitServer } from "./git-server.ts";
import { makeHostDirectories, type TestDirectories } from "./host-directories.ts";
import { CLAUDECLUSTER, type McpRig, startMcpServer } from "./mcp-client.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import type { Scenario } from "../model/scenario.ts";
import { type ScriptedModel, startScriptedModel } from "../model/scripted-model.ts";

/** What a session needs of the world, with a random key that only the host and the model know. */
export interface World extends AsyncDisposable {
  model: ScriptedModel;
  key: string;
  git: GitServer;
  /** A repository with the files of SMALL_REPOSITORY, on the git server as "greeter". */
  repository: string;
}

/** A world with the real MCP server and a host of its own. */
export interface Rig extends World {
  mcp: McpRig;
}

/** A world with a host that is reached as its fronts do; it starts with the first call. */
export interface HostRig extends World {
  place: TestDirectories;
  link: HostLink;
  sessions: RemoteSessions;
}

interface WorldOptions {
  /** Address that model and git server listen at. Default: loopback. */
  listen?: string;
  /** Scenarios of the model beside those that it knows. */
  scenarios?: readonly Scenario[];
}

async function startWorld({ listen: host = "127.0.0.1", scenarios = [] }: WorldOptions = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const key = `sk-ant-test-${randomBytes(24).toString("hex")}`;
  const model = stack.use(await startScriptedModel({ key, host, scenarios }));
  const git = stack.use(await startGitServer({ host }));
  const repository = await git.addRepository("greeter", SMALL_REPOSITORY);
  const owned = stack.move();
  return { model, key, git, repository, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Starts a scripted model, a git server and the real MCP server with a host of its own. */
export async function startRig(options: WorldOptions & { config?: object } = {}): Promise<Rig> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await startWorld(options));
  const config = { base_url: world.model.url, credential: { api_key: world.key }, ...options.config };
  const mcp = stack.use(await startMcpServer({ config }));
  const owned = stack.move();
  return { ...world, mcp, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Starts a scripted model and a git server, with a way to a host of its own, which Node is started for as ever and with these options. */
export async function startHostRig(
  options: WorldOptions & { config?: object; env?: Record<string, string>; nodeOptions?: string[] } = {},
): Promise<HostRig> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await startWorld(options));
  const place = stack.use(await makeHostDirectories());
  await place.configure({ base_url: world.model.url, credential: { api_key: world.key }, ...options.config });
  const { directories } = place;
  const env = { ...place.env, ...options.env };
  const command = [process.execPath, ...HEAP, ...(options.nodeOptions ?? []), CLAUDECLUSTER];
  const link = stack.use(new HostLink({ directories, env, command }));
  const owned = stack.move();
  return { ...world, place, link, sessions: link.sessions, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
