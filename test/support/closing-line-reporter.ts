import type { Reporter, TestModule, TestCase } from "vitest/node";

/** Closes a run with the plain line `N passed, N failed`. A skipped test counts as failed: nothing is skipped here. */
class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      for (const test of module.children.allTests() as Iterable<TestCase>) {
        if (test.result().state === "passed") passed++;
        else failed++;
      }
      failed += module.errors().length;
    }
    if (failed > 0) process.exitCode = 1;
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  }
}

export default ClosingLineReporter;
