import { randomUUID } from "node:crypto";
import { basename } from "node:path";

const SUITE = "CLAUDECLUSTER_SUITE_DIRECTORY";
const MARK = /^run-[A-Za-z0-9]{6}-/;

/** What the ids of this run's hosts begin with; empty outside of a suite. */
export function runMark(): string {
  const directory = process.env[SUITE];
  return directory === undefined ? "" : `run-${basename(directory).slice(-6)}-`;
}

/** Returns a new id for a host of this run. Its containers carry it. */
export function markedHostId(): string {
  return `${runMark()}${randomUUID()}`;
}

/** Whether a host's id is one of another run of the suite, on the same engine. */
export function isOfAnotherRun(hostId: string): boolean {
  return MARK.test(hostId) && !hostId.startsWith(runMark());
}
