import { vi } from "vitest";

/** Does something without the globals that the oldest Node of users lacks, and tests have. */
export async function onOlderNode<T>(work: () => Promise<T>): Promise<T> {
  for (const name of ["DisposableStack", "AsyncDisposableStack"]) vi.stubGlobal(name, undefined);
  try {
    return await work();
  } finally {
    vi.unstubAllGlobals();
  }
}
