/** In the agent image; waits ten seconds for the agent to listen. */
export const BRIDGE = ["dial-stdio"];

/** What an exec is created with. Never a tty: it mangles bytes, and the engine looks for detach keys in the input. */
export function execConfig(command: string[]): object {
  return { AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: command };
}

/** What it is started with. */
export const EXEC_START = { Detach: false, Tty: false };
