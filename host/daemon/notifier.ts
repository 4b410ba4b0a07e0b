import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Logger } from "pino";
import type { WayOut } from "../broker/way-out.ts";
import type { Settings } from "../config/settings.ts";
import { postJson } from "../post.ts";
import { noticeFacts } from "../present/notice-text.ts";
import { watchAttention } from "../session/attention.ts";
import type { Sessions } from "../session/sessions.ts";

/** A command or a webhook has so long for one notice (ms). */
const TIMEOUT_MS = 10_000;

/** What a command finds in its environment: enough for a desktop's notifications, and none of the host's secrets. */
const VARIABLES =
  "PATH HOME USER LOGNAME LANG LC_ALL TMPDIR DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR";

/** Whom a host tells of its sessions, and what it needs for that. */
export interface NotifierOptions {
  notify: NonNullable<Settings["notify"]>;
  wayOut: WayOut;
  logger: Logger;
  /** Time for one notice (ms). Default: 10 s. */
  timeoutMs?: number;
  /** Signal that ends it without an error. */
  signal: AbortSignal;
}

/**
 * Tells a command or a webhook of each session that finishes, fails or begins to need somebody, one after the other, until the
 * signal. It never rejects. A failure is logged once, until a notice has arrived again.
 */
export async function notifyOfSessions(sessions: Sessions, options: NotifierOptions): Promise<void> {
  const { notify, logger, signal, timeoutMs = TIMEOUT_MS } = options;
  let failing = false;
  try {
    for await (const { session, attention } of watchAttention(sessions, { signal })) {
      // Lists lack the answer.
      const whole = await sessions.get(session.id).catch(() => session);
      const body = `${JSON.stringify(noticeFacts({ session: whole, attention }))}\n`;
      const over = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      try {
        if ("url" in notify) await postJson(new URL(notify.url), body, { wayOut: options.wayOut, signal: over });
        else await runCommand(notify.command, body, over);
        failing = false;
      } catch (error) {
        if (!failing && !signal.aborted) logger.warn({ why: (error as Error).message }, "notify failed");
        failing = true;
      }
    }
  } catch (error) {
    logger.error({ err: error }, "notify ended");
  }
}

/** Runs a command without a shell, and kills it with all that it has started when its time is over. */
async function runCommand([program = "", ...args]: readonly string[], input: string, signal: AbortSignal) {
  const named = VARIABLES.split(" ").filter((name) => process.env[name] !== undefined);
  const env = Object.fromEntries(named.map((name) => [name, process.env[name]]));
  const child = spawn(program, args, { env, stdio: ["pipe", "ignore", "ignore"], detached: true });
  const kill = () => {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  signal.addEventListener("abort", kill, { once: true });
  try {
    const closed = once(child, "close");
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [code] = (await closed) as [number | null];
    if (code !== 0) throw new Error(signal.aborted ? "the command took too long" : `the command ended with ${code}`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
