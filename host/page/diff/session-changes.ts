import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Artifact_Kind, foldEvent, isFinal, type Session, SessionSpecSchema } from "../../../proto/index.ts";
import { sessionService } from "../client.ts";
import { Pauses } from "../parts/pauses.ts";
import { problemOf } from "../parts/problem.ts";
import { watchEvents } from "../parts/watch-events.ts";
import { LiveChanges } from "./live-changes.ts";
import { PatchParser, type PatchedFile } from "./patch.ts";

/** Changes of one session: while it runs as they happen, then those that it left. Tells of each change by "change". */
export class SessionChanges extends EventTarget {
  /** Changed files. Undefined: not read yet. */
  files: PatchedFile[] | undefined;
  /** The session, as far as it is known. */
  session: Session | undefined;
  /** What keeps the changes from being read. Empty: nothing. */
  problem = "";
  readonly #id: string;
  readonly #live = new LiveChanges();
  readonly #pauses = new Pauses();

  constructor(sessionId: string) {
    super();
    this.#id = sessionId;
  }

  /** Follows the session until it has finished, or the signal. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
        if (this.session !== undefined && isFinal(this.session.state)) return;
      } catch (error) {
        if (signal.aborted) return;
        const { code } = ConnectError.from(error);
        this.problem = problemOf(error);
        this.#tell();
        if (code === Code.NotFound || code === Code.Unauthenticated) return;
      }
      await this.#pauses.rest(signal);
    }
  }

  /**
   * Sends a message: as another one of the session, or to one that goes on from it where it has finished. Returns the id of
   * the session that has it. Throws a ConnectError.
   */
  async send(text: string): Promise<string> {
    const { session } = await sessionService.getSession({ sessionId: this.#id });
    if (session === undefined || !isFinal(session.state)) {
      await sessionService.sendMessage({ sessionId: this.#id, message: { text } });
      return this.#id;
    }
    const spec = session.spec ?? create(SessionSpecSchema);
    // As it was, but for its place in the order and what the host takes over by itself.
    const { repository: _, setup: _setup, userFiles: _files, ...kept } = spec;
    const next = create(SessionSpecSchema, { ...kept, task: text, previousSessionId: this.#id, afterSessionId: "" });
    const made = await sessionService.createSession({ spec: next });
    return made.session?.id ?? this.#id;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { session } = await sessionService.getSession({ sessionId: this.#id }, { signal });
    this.session = session;
    // Diffs that come meanwhile are in the patch already, and come again.
    await this.#readPatch(signal);
    if (session === undefined || isFinal(session.state)) return;
    const after = { sessionId: this.#id, afterSequence: session.lastSequence };
    for await (const { response } of watchEvents(after, { signal })) {
      this.#pauses.reset();
      if (response.case !== "events") continue;
      let changed = false;
      for (const event of response.value.events) {
        const { state } = session;
        foldEvent(session, event);
        changed = this.#live.add(event) || state !== session.state || changed;
      }
      if (!changed) continue;
      this.files = this.#live.files;
      this.#tell();
    }
    if (isFinal(session.state)) await this.#readPatch(signal);
  }

  async #readPatch(signal: AbortSignal): Promise<void> {
    const parser = new PatchParser();
    const pieces = sessionService.readArtifact({ sessionId: this.#id, kind: Artifact_Kind.PATCH }, { signal });
    for await (const { data } of pieces) parser.push(data);
    this.#live.replace(parser.end());
    this.files = this.#live.files;
    this.problem = "";
    this.#tell();
  }

  #tell(): void {
    this.dispatchEvent(new Event("change"));
  }
}
