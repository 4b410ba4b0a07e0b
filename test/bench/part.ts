import type { Figures } from "./figures.ts";

export interface PartOptions {
  image: string;
  /** How often everything is measured, unless a part says otherwise. */
  rounds: number;
  longRounds: number;
  longSeconds: number;
  /** Requests of each size. */
  requests: number;
  /** Directory of a repository to take instead of one that is made. */
  repository: string | undefined;
  figures: Figures;
  /** Tells whoever waits how far it is. */
  say(text: string): void;
}

/** Measures one thing against its alternative, in turn. Starts what it needs, and ends it. */
export type Part = (options: PartOptions) => Promise<void>;

/** Does all of them, forwards in odd rounds and backwards in even ones, so that a drift of the machine favours nobody. */
export async function inTurn<Name extends string>(
  round: number,
  measures: Record<Name, () => Promise<number>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(measures) as Name[];
  const took = {} as Record<Name, number>;
  for (const name of round % 2 === 1 ? names : names.reverse()) took[name] = await measures[name]();
  return took;
}
