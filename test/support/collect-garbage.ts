import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects this process's garbage now, so that what is in use can be measured. Takes some milliseconds. */
export function collectGarbage(): void {
  // Buffers that the first finds are given back in a thread, which the second waits for: they may be those of another test's.
  for (let round = 0; round < 2; round++) collect();
}

/** Collects what the collections of young objects find, which come often and cost little. What they leave waits for a large one. */
export function collectYoungGarbage(): void {
  // Counts as old whatever the second one finds again.
  for (let round = 0; round < 2; round++) collect({ type: "minor" });
}

let found: ((options?: { type: "minor" }) => void) | undefined;

function collect(options?: { type: "minor" }): void {
  setFlagsFromString("--expose-gc");
  found ??= runInNewContext("gc") as NonNullable<typeof found>;
  // Another collection, which finds less, comes of an argument, also of an undefined one.
  if (options === undefined) found();
  else found(options);
}
