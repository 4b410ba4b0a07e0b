// Keeps a processor busy, as a build beside the sessions would, until its parent goes.

/** So long at a time; in between the parent's end is noticed. */
const TURN_MS = 50;

process.once("disconnect", () => process.exit(0));

function turn(): void {
  const endMs = performance.now() + TURN_MS;
  while (performance.now() < endMs);
  setImmediate(turn);
}

turn();
