import { FLUSH, packet, SectionReader, sideBand } from "./pkt-line.ts";
import { utf8Of } from "../../../proto/index.ts";

/** Change of a ref that a push asks for. */
export interface PushCommand {
  ref: string;
  deletes: boolean;
}

/** Beginning of a push, before its pack. */
export interface Push {
  commands: readonly PushCommand[];
  capabilities: ReadonlySet<string>;
}

/** The commands of a push; beyond this it is refused. */
const MAX_COMMAND_BYTES = 256 * 1024;

const COMMAND = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (refs\/[\x21-\x7e\x80-\xff]{1,500})$/;
const SHALLOW = /^shallow (?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** Others would let a push say more than its commands do: https://git-scm.com/docs/gitprotocol-capabilities */
const CAPABILITY =
  /^(?:report-status|report-status-v2|delete-refs|quiet|atomic|ofs-delta|side-band-64k|agent=.*|session-id=.*|object-format=(?:sha1|sha256))$/;

/** Reader of the beginning of a receive-pack request. It is strict: what git would read in another way is refused. */
export class PushReader {
  readonly #commands: PushCommand[] = [];
  readonly #capabilities = new Set<string>();
  readonly #section = new SectionReader((line) => this.#readLine(line));

  /** All bytes that have come. */
  get bytes(): Buffer {
    return this.#section.bytes;
  }

  /**
   * Takes the next piece. Returns the push. Undefined: more pieces are needed. Throws a RangeError that says what is
   * not accepted.
   */
  push(piece: Buffer): Push | undefined {
    if (this.#section.push(piece)) return { commands: this.#commands, capabilities: this.#capabilities };
    if (this.bytes.length > MAX_COMMAND_BYTES) throw new RangeError("too many refs in one push");
    return undefined;
  }

  #readLine(line: Buffer): void {
    const isFirst = this.#commands.length === 0;
    const [text = "", said, ...more] = line.toString("latin1").replace(/\n$/, "").split("\0");
    if (said === undefined && SHALLOW.test(text) && isFirst) return;
    if (text === "push-cert") throw new RangeError("signed pushes are not accepted");
    const match = COMMAND.exec(text);
    if (match === null || more.length > 0 || (said !== undefined && !isFirst)) throw new RangeError("not a push");
    for (const capability of (said ?? "").split(" ").filter((each) => each !== "")) {
      if (capability === "push-options") throw new RangeError("push options are not accepted");
      if (!CAPABILITY.test(capability)) throw new RangeError("not a push that is understood");
      this.#capabilities.add(capability);
    }
    this.#commands.push({ ref: utf8Of(match[3]!), deletes: /^0+$/.test(match[2]!) });
  }
}

/** Whether a ref is one of these; "*" at the end of a pattern stands for anything. */
function isPushable(ref: string, patterns: readonly string[]): boolean {
  // The rules of git check-ref-format; a server without them might take such a name for a path.
  if (/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(ref)) return false;
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? ref.startsWith(pattern.slice(0, -1)) && ref.length >= pattern.length : ref === pattern,
  );
}

/** Returns why the push is refused. Undefined: it is not. */
export function refusePush(push: Push, patterns: readonly string[]): string | undefined {
  if (push.commands.some(({ deletes }) => deletes)) return "branches are not deleted from this container";
  if (push.commands.every(({ ref }) => isPushable(ref, patterns))) return undefined;
  return `pushes go to ${patterns.length === 0 ? "no ref" : patterns.join(", ")} only`;
}

/**
 * Returns the body that makes git report each ref as rejected for this reason. Undefined: git did not ask for a report.
 */
export function rejection({ commands, capabilities }: Push, reason: string): Buffer | undefined {
  if (!capabilities.has("report-status") && !capabilities.has("report-status-v2")) return undefined;
  const lines = commands.map(({ ref }) => packet(`ng ${ref} ClaudeCluster: ${reason}\n`));
  const report = Buffer.concat([packet("unpack ok\n"), ...lines, FLUSH]);
  if (!capabilities.has("side-band-64k")) return report;
  const text = Buffer.from(`ClaudeCluster refused this push: ${reason}.\n`);
  return Buffer.concat([sideBand(2, text), sideBand(1, report), FLUSH]);
}
