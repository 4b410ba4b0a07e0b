/**
 * Writes one plain line to stderr; stdout stays free for answers.
 * @param {string} line
 */
export function say(line) {
  process.stderr.write(`claudecluster: ${line}\n`);
}

/** A failure that the person at the terminal can do something about: what failed, then what to do. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {{ hint?: string | undefined, exitCode?: number, cause?: unknown }} [options]
   *   exit code 3 means "the machine lacks something"
   */
  constructor(message, { hint, exitCode = 1, cause } = {}) {
    super(message, { cause });
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

/**
 * The time since then, for people.
 * @param {number} sinceMs
 */
export function seconds(sinceMs) {
  return `${Math.round((Date.now() - sinceMs) / 1000)} s`;
}
