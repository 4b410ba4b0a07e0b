import type { HostLink } from "../daemon/host-link.ts";
import type { Sessions } from "../session/sessions.ts";
import { hostLink } from "./command-context.ts";
import type { CommandIo } from "./command-io.ts";

/** Link to the host that is loaded with its first use, since what speaks with a host takes time to load. The caller disposes of it. */
export class LateHostLink implements AsyncDisposable {
  readonly sessions: Sessions;
  readonly #io: CommandIo;
  #loading: Promise<HostLink> | undefined;

  constructor(io: CommandIo) {
    this.#io = io;
    this.sessions = lateSessions(async () => (await this.#load()).sessions);
  }

  /** Makes sure that a host answers. Throws as HostLink.connect. */
  async connect(): Promise<void> {
    const link = await this.#load();
    await link.connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    (await this.#loading)?.[Symbol.dispose]();
  }

  #load(): Promise<HostLink> {
    return (this.#loading ??= hostLink(this.#io));
  }
}

function lateSessions(load: () => Promise<Sessions>): Sessions {
  return {
    create: async (...given) => (await load()).create(...given),
    get: async (...given) => (await load()).get(...given),
    list: async (...given) => (await load()).list(...given),
    async *watch(...given) {
      return yield* (await load()).watch(...given);
    },
    async *watchAll(...given) {
      return yield* (await load()).watchAll(...given);
    },
    stop: async (...given) => (await load()).stop(...given),
    interrupt: async (...given) => (await load()).interrupt(...given),
    sendMessage: async (...given) => (await load()).sendMessage(...given),
    decide: async (...given) => (await load()).decide(...given),
    answer: async (...given) => (await load()).answer(...given),
    delete: async (...given) => (await load()).delete(...given),
    markTaken: async (...given) => (await load()).markTaken(...given),
    openArtifact: async (...given) => (await load()).openArtifact(...given),
    async *dial(...given) {
      return yield* (await load()).dial(...given);
    },
  };
}
