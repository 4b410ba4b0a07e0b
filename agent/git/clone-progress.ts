/** Progress of fetching and checking out a repository. */
export interface Progress {
  /** Name of the stage: git's, such as "Receiving objects", or ours. */
  stage: string;
  /** Share that is done, 0 to 100. Undefined: not known. */
  percent?: number;
}

/** Between two reports of one stage. A stage's first and its 100 % are always reported. */
const REPORT_INTERVAL_MS = 200;

/** Returns a function that takes the error output of git --progress, in any pieces, and reports the progress. */
export function progressReader(report: (progress: Progress) => void): (chunk: string) => void {
  let rest = "";
  let last = { stage: "", percent: -1, at: 0 };
  return (chunk) => {
    const lines = (rest + chunk).split(/[\r\n]/);
    rest = (lines.pop() ?? "").slice(-1000);
    for (const line of lines) {
      const [, stage = "", digits] = /^(?:remote: )?([A-Z][A-Za-z ]*[a-z]):\s+(\d{1,3})%/.exec(line) ?? [];
      if (digits === undefined) continue;
      const percent = Math.min(Number(digits), 100);
      const now = performance.now();
      const due = now - last.at >= REPORT_INTERVAL_MS || percent === 100;
      if (stage === last.stage && (percent === last.percent || !due)) continue;
      last = { stage, percent, at: now };
      report({ stage, percent });
    }
  };
}

const UNITS: Record<string, number> = { bytes: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/**
 * Returns the approximate size of the whole pack (bytes), by git's last lines of progress, even of a fetch that failed.
 * Undefined: they do not tell.
 */
export function wholeSize(stderr: string): number | undefined {
  const seen = [...stderr.matchAll(/Receiving objects:\s+(\d{1,3})% [^\r\n]*?, ([\d.]+) (bytes|KiB|MiB|GiB)/g)].at(-1);
  if (seen === undefined) return undefined;
  const [, percent, count, unit = ""] = seen;
  return (Number(count) * (UNITS[unit] ?? 0)) / (Math.max(1, Number(percent)) / 100);
}
