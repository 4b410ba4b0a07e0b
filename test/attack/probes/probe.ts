/** What somebody in a container tries, and what it would mean if it worked. */
export interface Probe {
  readonly name: string;
  /** What its failure proves. */
  readonly proves: string;
  /** True: it worked. Throwing is as good as not working. */
  readonly attempt: () => boolean | Promise<boolean>;
}

/** What became of them: the names of those that worked and of those that did not. */
export interface Findings {
  open: string[];
  blocked: string[];
}
