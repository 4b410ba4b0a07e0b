import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects this process's garbage now, so that what is in use can be measured. Takes some milliseconds. */
export function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
