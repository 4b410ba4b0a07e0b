import { applyPatch } from "../support/apply-patch.ts";
import { startGitServer } from "../support/git-server.ts";
import { startScriptedModel } from "../model/scripted-model.ts";
import { git, SMALL_REPOSITORY } from "../model/small-repository.ts";
import { startForwardProxy } from "./forward-proxy.ts";
import type { Ports } from "./serve-connections.ts";

/** What sessions need from outside: a scripted model, and a repository behind a proxy. */
export interface World extends AsyncDisposable {
  readonly ports: Ports;
  /** http URI of a repository that the proxy allows, and of one that it does not. */
  readonly repositoryUri: string;
  readonly refusedUri: string;
  /** The repository's newest commit. */
  readonly commitId: string;
  /** First lines of what the proxy was asked for. */
  readonly proxyRequests: readonly string[];
  /** Applies a patch to a checkout of the repository, or of an empty one, and returns every file by path. */
  apply(patch: Uint8Array, to: "repository" | "nothing"): Promise<Record<string, string>>;
}

/** Starts it on loopback ports. The caller disposes of it. */
export async function startWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const model = stack.use(await startScriptedModel());
  const server = stack.use(await startGitServer());
  const repositoryUri = await server.addRepository("repository", SMALL_REPOSITORY);
  await server.addRepository("nothing", {});
  const proxy = stack.use(await startForwardProxy(`127.0.0.1:${server.port}`));
  const commitId = (await git(server.directoryOf("repository"), "rev-parse", "HEAD")).trim();
  const owned = stack.move();
  return {
    ports: { model: model.port, proxy: proxy.port },
    repositoryUri,
    refusedUri: "http://refused.invalid/owner/name",
    commitId,
    proxyRequests: proxy.requests,
    apply: (patch, to) => applyPatch(server.directoryOf(to), patch),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
