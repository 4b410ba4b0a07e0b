import type { Reporter, TestModule, TestCase } from "vitest/node";

declare module "vitest" {
  interface TaskMeta {
    /** What a test has measured, in words: printed at the end of the run. */
    figure?: string;
  }
}

/**
 * Closes a run with what its tests have measured, a line each, and the plain line `N passed, N failed`. A skipped test
 * counts as failed: nothing is skipped here.
 */
class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    const figures: string[] = [];
    let failed = unhandledErrors.length;
    for (const module of modules) {
      for (const test of module.children.allTests() as Iterable<TestCase>) {
        if (test.result().state === "passed") passed++;
        else failed++;
        const { figure } = test.meta();
        if (figure !== undefined) figures.push(`${test.project.name}: ${figure}`);
      }
      failed += module.errors().length;
    }
    if (failed > 0) process.exitCode = 1;
    process.stdout.write(["", ...figures, `${passed} passed, ${failed} failed`, ""].join("\n"));
  }
}

export default ClosingLineReporter;
