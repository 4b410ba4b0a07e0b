import type { ChildProcessByStdio } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable, Writable } from "node:stream";
import { SNAPSHOT_URI } from "../../../proto/index.ts";
import { refuseFetch } from "./fetch-request.ts";
import { type GitRequest, repositoryKey } from "./git-request.ts";
import { Refusal } from "./git-upstream.ts";
import { plainBody } from "./plain-body.ts";

/** git's upload-pack, for one request. */
export type UploadPack = ChildProcessByStdio<Writable, Readable, null>;

/** The snapshot of a repository that a session starts with. */
export interface ServedSnapshot {
  /** The commits that may be fetched, with what there is below them. */
  commitIds: readonly string[];
  /** Starts git's own server for one request of protocol 2, without a shell; with `advertise` it says what it can do. */
  uploadPack(options: { advertise: boolean }): UploadPack;
}

/** A session has one fetch at a time, Claude's own perhaps a few. */
const MAX_PROCESSES = 4;
/** A clone of many GiB to a container that is busy (ms). */
const MAX_TIME_MS = 30 * 60_000;
/** Some ten thousand commits that a client says to have. */
const MAX_REQUEST_BYTES = 1024 * 1024;

/**
 * Serves a session its snapshot by git's own upload-pack, which runs on the host, on request of the container: only to be
 * read, only the session's own commits, and few at a time.
 */
export class SnapshotGateway {
  readonly #snapshot: ServedSnapshot;
  readonly #commitIds: ReadonlySet<string>;
  #running = 0;

  constructor(snapshot: ServedSnapshot) {
    this.#snapshot = snapshot;
    this.#commitIds = new Set(snapshot.commitIds);
  }

  /** Whether a repository's URL is the snapshot's. */
  static isAt(url: URL): boolean {
    return repositoryKey(url) === SNAPSHOT_URI;
  }

  /** Answers one request. Throws a Refusal. */
  async pass(asked: GitRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reads = (asked.kind === "refs" || asked.kind === "rpc") && asked.service === "git-upload-pack";
    if (!reads) throw new Refusal(403, "the start of this session can only be fetched");
    // Before protocol 2 the commits that are wanted come in another form.
    if (request.headers["git-protocol"] !== "version=2") throw new Refusal(403, "only git's protocol 2 is served");
    const body = asked.kind === "refs" ? undefined : await readBody(request);
    const reason = body === undefined ? undefined : refuseFetch(body, this.#commitIds);
    if (reason !== undefined) throw new Refusal(403, reason);
    if (this.#running >= MAX_PROCESSES) throw new Refusal(503, "this session fetches too much at once");
    await this.#serve(body, response);
  }

  async #serve(body: Buffer | undefined, response: ServerResponse): Promise<void> {
    if (response.destroyed) return;
    const git = this.#snapshot.uploadPack({ advertise: body === undefined });
    this.#running++;
    const end = (): void => {
      git.kill("SIGKILL");
      git.stdout.destroy();
    };
    const timer = setTimeout(end, MAX_TIME_MS);
    response.once("close", end);
    // It need not read all of it.
    git.stdin.on("error", () => undefined);
    git.stdin.end(body);
    const contentType = `application/x-git-upload-pack-${body === undefined ? "advertisement" : "result"}`;
    try {
      const code = await new Promise<number | null>((resolve, reject) => {
        git.once("error", reject).once("close", resolve);
        git.once("spawn", () => {
          response.writeHead(200, { "content-type": contentType, "cache-control": "no-cache" });
          git.stdout.pipe(response, { end: false });
        });
      });
      // What has begun and is not whole must not look so.
      if (code === 0) response.end();
      else response.destroy();
    } catch (cause) {
      throw new Refusal(502, "the start of this session cannot be read", { cause });
    } finally {
      clearTimeout(timer);
      response.off("close", end);
      this.#running--;
    }
  }
}

/** Reads a request whole, as it was before it was packed. Throws a Refusal. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const plain = plainBody(request);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of plain.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length;
      if (size > MAX_REQUEST_BYTES) throw new Refusal(413, "that request is too long");
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(400, "that request cannot be read");
  }
  return Buffer.concat(chunks);
}
