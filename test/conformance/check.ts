import type { Bench } from "./bench.ts";
import type { Tour } from "./tour.ts";

interface CheckFacts {
  /** The rule that it proves, word for word as in agent/README.md. */
  readonly rule: string;
  /** Only for agents whose GetAgentInfo announces this. */
  readonly capability?: string;
  /** Only for agents that want a token. */
  readonly token?: true;
}

/** One promise of the contract and how it is seen to be kept. */
export type Check = CheckFacts &
  (
    | {
        /** Any agent; one that nobody has used. */
        readonly needs: "any" | "unused";
        /** Throws what is wrong. */
        run(bench: Bench): Promise<void>;
      }
    | {
        /** An agent of its own, to run a session on, and as many more as it asks for. */
        readonly needs: "own";
        run(bench: Bench, another: () => Promise<Bench>): Promise<void>;
      }
    | {
        /** The agent whose session was the tour. */
        readonly needs: "finished";
        run(bench: Bench, tour: Tour): Promise<void>;
      }
  );
