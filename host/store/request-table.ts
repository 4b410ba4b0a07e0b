import type { StatementSync } from "node:sqlite";
import type { KeptRequest, RequestStore } from "./session-store.ts";
import type { StoreFile } from "./store-file.ts";

/** Table of callers' requests that have not arrived yet, in a store's file. */
export class RequestTable implements RequestStore {
  readonly #file: StoreFile;
  readonly #put: StatementSync;
  readonly #list: StatementSync;
  readonly #names: StatementSync;
  readonly #remove: StatementSync;

  constructor(file: StoreFile) {
    const { database } = file;
    this.#file = file;
    this.#put = database.prepare("INSERT OR IGNORE INTO request (session_id, name, data) VALUES (?, ?, ?)");
    this.#list = database.prepare("SELECT name, data FROM request WHERE session_id = ? ORDER BY number");
    this.#names = database.prepare("SELECT name FROM request WHERE session_id = ? ORDER BY number");
    this.#remove = database.prepare("DELETE FROM request WHERE session_id = ? AND name = ?");
  }

  put(sessionId: string, name: string, data: Uint8Array): void {
    this.#file.write({ failed: `A request to ${sessionId} could not be stored.`, bytes: data.length }, () => {
      this.#put.run(sessionId, name, data);
    });
  }

  list(sessionId: string): KeptRequest[] {
    return this.#file.read(() => this.#list.all(sessionId) as unknown as KeptRequest[]);
  }

  names(sessionId: string): string[] {
    return this.#file.read(() => this.#names.all(sessionId).map(({ name }) => name as string));
  }

  remove(sessionId: string, name: string): void {
    this.#file.write({ failed: `A request to ${sessionId} could not be removed.` }, () => {
      this.#remove.run(sessionId, name);
    });
  }
}
