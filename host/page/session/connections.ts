import type { SessionEvent } from "../../../proto/index.ts";

/** What became of the connections to one place. */
export interface Destination {
  /** Host and port, as the program in the container asked for them. */
  destination: string;
  allowed: boolean;
  /** Why they were refused. Empty: they were not. */
  reason: string;
  count: number;
}

/** Most destinations that are told one by one: a container may make up any number. */
const MAX_DESTINATIONS = 1000;

/** Connections out of a container, by where to and whether they were allowed. */
export class Connections {
  readonly #byPlace = new Map<string, Destination>();
  /** Connections to places that are not told one by one, since there are too many. */
  otherCount = 0;
  allowedCount = 0;
  refusedCount = 0;

  /** Adds the next event of the session. */
  add({ event }: SessionEvent): void {
    if (event.case !== "egressDecided") return;
    const { destination, allowed, reason } = event.value;
    if (allowed) this.allowedCount += 1;
    else this.refusedCount += 1;
    const key = `${allowed} ${reason} ${destination}`;
    const known = this.#byPlace.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#byPlace.size < MAX_DESTINATIONS) this.#byPlace.set(key, { destination, allowed, reason, count: 1 });
    else this.otherCount += 1;
  }

  /** Returns the places, those first that were refused. */
  list(): Destination[] {
    return [...this.#byPlace.values()].sort((one, other) => Number(one.allowed) - Number(other.allowed));
  }
}
