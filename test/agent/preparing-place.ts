import type { SessionPlace } from "../../agent/session/session-place.ts";

/** A place where every session stays in its preparation until it is told to end. */
export interface PreparingPlace extends SessionPlace {
  /** Makes so many events. */
  progress(count: number, stage?: string): void;
}

export function preparingPlace(): PreparingPlace {
  let report: ((stage: string) => void) | undefined;
  return {
    progress(count, stage = "Receiving objects") {
      for (let index = 0; index < count; index++) report?.(stage);
    },
    openWorkspace({ signal, onProgress }) {
      report = (stage) => onProgress({ stage, percent: 1 });
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    },
    prepareWorkspace: async () => {},
    copyUserFiles: async () => {},
    directoryOf: () => "/workspace",
    writeInstructions: async () => {},
    canWait: async () => false,
    startSpare: () => Promise.reject(new Error("There is no Claude here.")),
    startOf: () => ({ args: [], environment: {} }),
    startClaude: () => Promise.reject(new Error("There is no Claude here.")),
    writeTranscript: async () => {},
    readTranscript: async () => Buffer.alloc(0),
    fullDirectories: async () => [],
    runCommand: () => Promise.reject(new Error("There are no commands here.")),
    countProcesses: () => 0,
    killLeftovers: async () => {},
  };
}
