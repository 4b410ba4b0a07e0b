/** Supply of ours in a runtime's list. */
export interface ListedSupply {
  /** Name that the runtime has given it. */
  name: string;
  /** Time of its creation, in milliseconds since 1970. */
  createTimeMs: number;
  /** Whether it is this host's. */
  own: boolean;
}

/**
 * Supplies of a runtime: files that it keeps for its containers to read, put there once for any number of them. A container
 * that is given one can only read it, and sees no other.
 */
export interface Supplies {
  /**
   * Puts the files of a directory there, those in directories below it too: all of them, or nothing. Returns the name of the
   * supply. The image is one that containers are made from. Throws SUPPLY_FAILED, RUNTIME_UNAVAILABLE.
   */
  put(directory: string, options: { image: string; signal: AbortSignal }): Promise<string>;
  /** Returns whether it is there. */
  has(name: string, options: { signal: AbortSignal }): Promise<boolean>;
  /** Lists those of all hosts, without those that are still being put there from here. */
  list(options: { signal: AbortSignal }): Promise<ListedSupply[]>;
  /** Removes one, unless a container has it. It need not be there. */
  remove(name: string, options: { signal: AbortSignal }): Promise<void>;
}
