/**
 * What a call waits for. All of it is in its id, so that any server knows it again: the task of a call is this, and nothing is
 * stored for it beside its sessions.
 */
export interface Wait {
  /** `spawn`: canceling it ends its sessions. `wait`, `message`: canceling it leaves them. */
  kind: "spawn" | "wait" | "message";
  sessionIds: readonly string[];
  /** What is told of them. */
  report: "session" | "several" | "attempts";
  /** Which of several sessions end it. Default: all. */
  until?: "any" | "all" | undefined;
  /** When it ends whatever the sessions do (ms since 1970). Undefined: never. */
  endMs?: number | undefined;
  /** Of `message`: the message whose turn is waited for, and the last event before it. */
  message?: { id: string; afterSequence: number } | undefined;
}

/** Most sessions of one wait. */
const MAX_SESSIONS = 100;
const REPORTS: ReadonlySet<string> = new Set<Wait["report"]>(["session", "several", "attempts"]);

/** Returns the id of a wait: printable ASCII, as a header of HTTP takes it. People see it, so it says no more than it has to. */
export function waitId({ kind, sessionIds, report, until, endMs, message }: Wait): string {
  const facts = new URLSearchParams();
  if (report !== "session") facts.set("report", report);
  if (until === "any") facts.set("until", until);
  if (endMs !== undefined) facts.set("end", String(endMs));
  if (message !== undefined) {
    facts.set("message", message.id);
    facts.set("after", String(message.afterSequence));
  }
  return [`${kind}.${sessionIds.join(".")}`, ...(facts.size === 0 ? [] : [facts.toString()])].join("?");
}

/** Returns the wait with an id. Undefined: it is none. */
export function readWaitId(id: string): Wait | undefined {
  const found = /^(spawn|wait|message)\.([\w.]+)(?:\?(.*))?$/.exec(id);
  if (found === null) return undefined;
  const facts = new URLSearchParams(found[3]);
  const sessionIds = found[2]!.split(".");
  const numbers = ["end", "after"].map((name) => {
    const text = facts.get(name);
    return text === null ? undefined : /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  });
  if (sessionIds.length > MAX_SESSIONS || numbers.some(Number.isNaN)) return undefined;
  const [endMs, afterSequence = 0] = numbers;
  const report = (facts.get("report") ?? "session") as Wait["report"];
  if (!REPORTS.has(report)) return undefined;
  const until = facts.get("until") === "any" ? "any" : "all";
  const messageId = facts.get("message");
  const message = messageId === null ? undefined : { id: messageId, afterSequence };
  return { kind: found[1] as Wait["kind"], sessionIds, report, until, endMs, message };
}
