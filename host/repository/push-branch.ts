import { AppError } from "../../proto/index.ts";
import { nameSome } from "../name-some.ts";
import { git, gitLine, tryGit } from "./git.ts";
import { type UserRepository, userPlace } from "./user-repository.ts";

/** Neither hooks nor what the user's settings would push beside the branch. */
const PUSH = ["push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"];

/** Throws REMOTE_UNKNOWN if the user's repository has no remote of that name. A URL is none. */
export async function requireRemote(
  repository: UserRepository,
  remote: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const remotes = (await git(userPlace(repository), ["remote"], { signal })).toString().split("\n").filter(Boolean);
  if (remotes.includes(remote)) return;
  throw new AppError("REMOTE_UNKNOWN", `${repository.workTree} has no remote "${remote}".`, {
    help: remotes.length === 0 ? "Add one: git remote add." : `There are: ${nameSome(remotes)}.`,
    metadata: { remote },
  });
}

/** Returns the owner that stands in the URL a remote is pushed to, as in github.com/owner/name. Undefined: none does. */
export async function readOwner(
  repository: UserRepository,
  remote: string,
  { signal }: { signal: AbortSignal },
): Promise<string | undefined> {
  const url = await gitLine(userPlace(repository), ["remote", "get-url", "--push", remote], { signal });
  return /^(?:(?:https?|ssh):\/\/[^/]+\/|(?:[^/@]+@)?[^/:]+:(?!\/))([\w.-]+)\/[\w.-]+$/.exec(url)?.[1];
}

/**
 * Pushes a branch of the user's repository to a remote that it names, with the user's own keys and helpers. Nothing is
 * forced, no hook runs, nobody is asked. Throws PUSH_FAILED with the remote's words.
 */
export async function pushBranch(
  repository: UserRepository,
  { branch, remote }: { branch: string; remote: string },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const ref = `refs/heads/${branch}`;
  const place = { ...userPlace(repository), network: true };
  const { code, stdout, stderr } = await tryGit(place, [...PUSH, "--", remote, `${ref}:${ref}`], { signal });
  if (code === 0) return;
  const refused = stdout
    .toString()
    .split("\n")
    .find((line) => line.startsWith("!"));
  const said = withoutCredentials([refused?.split("\t").at(-1), stderr.trim().split("\n").at(-1)].find(Boolean) ?? "");
  throw new AppError("PUSH_FAILED", `The branch ${branch} is here, but ${remote} has not taken it: ${said}`, {
    help: `Push it yourself (git push ${remote} ${branch}), or drop it: claudecluster undo.`,
    metadata: { branch, remote },
  });
}

/** git names the URL where it fails, with whatever the user has put into it. */
function withoutCredentials(text: string): string {
  return text.replace(/[\x00-\x1f\x7f]/g, " ").replace(/:\/\/[^/@\s]*@/g, "://");
}
