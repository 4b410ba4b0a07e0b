/** Command in the agent's image that waits ten seconds for the agent to listen, and then connects to it. */
export const BRIDGE = ["dial-stdio"];

/**
 * Returns the configuration of an exec. It has never a tty, which mangles bytes, and in whose input the engine looks
 * for detach keys.
 */
export function execConfig(command: string[]): object {
  return { AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: command };
}

/** Options that an exec is started with. */
export const EXEC_START = { Detach: false, Tty: false };
