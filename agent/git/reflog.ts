import type { Remotes } from "./network-remotes.ts";

/** Line of a reflog: what a ref was, what it became, and why. */
export interface ReflogEntry {
  oldId: string;
  newId: string;
  message: string;
}

const LINE = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) [^\t]*(?:\t(.*))?$/;
/** "rebase (pick): …", "rebase -i (finish): …", "pull --rebase origin main (start): …" */
const REBASE_STEP = /^(?:rebase|pull)\b[^:]*\((\w+)\)/;
/** "clone: from …", "pull: Fast-forward", "fetch origin topic:topic: storing head" */
const FETCHED = /^clone: from (.*)$|^(?:fetch|pull) (.*): (?:fast-forward|forced-update|storing head)/i;

/** Parses a reflog, oldest entry first. What is no entry is passed over: the log may be cut at its start. */
export function parseReflog(text: string): ReflogEntry[] {
  return text.split("\n").flatMap((line) => {
    const [, oldId, newId, message = ""] = LINE.exec(line) ?? [];
    return oldId === undefined || newId === undefined ? [] : [{ oldId, newId, message }];
  });
}

/** Returns the commits in a reflog of HEAD, without those that an amendment or a rebase has replaced. */
export function commitsOnce(log: readonly ReflogEntry[]): Set<string> {
  const replaced = new Set<string>();
  let start: string | undefined;
  const steps: string[] = [];
  for (const { oldId, newId, message } of log) {
    if (message.startsWith("commit (amend)")) replaced.add(oldId);
    const step = REBASE_STEP.exec(message)?.[1];
    if (step === "start") start = oldId;
    else if (step === "finish" || step === "abort") {
      if (step === "finish" && start !== undefined) steps.push(start);
      for (const id of steps.splice(0)) replaced.add(id);
      start = undefined;
    } else if (step !== undefined) steps.push(newId);
  }
  const ids = log.flatMap(({ oldId, newId }) => [oldId, newId]);
  return new Set(ids.filter((id) => !replaced.has(id) && !/^0+$/.test(id)));
}

/** Returns the commits that a reflog says were fetched over the network. */
export function fetchedCommits(log: readonly ReflogEntry[], remotes: Remotes): string[] {
  return log
    .filter(({ message }) => {
      const [, cloned, args = ""] = FETCHED.exec(message) ?? [];
      // The first that is no option and no number, such as the one of --depth.
      const from = cloned ?? args.split(" ").find((arg) => !/^(?:-.*|\d*)$/.test(arg));
      return from !== undefined && remotes.isNetwork(from);
    })
    .map(({ newId }) => newId);
}
