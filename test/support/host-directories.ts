import { mkdtemp, rm, writeFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostLink } from "../../host/daemon/host-link.ts";
import type { HostDirectories } from "../../host/directories.ts";

/** Directories of one host's own, with everything that they need to be used. */
export interface TestDirectories extends AsyncDisposable {
  directories: HostDirectories;
  /** The variables that name them. */
  env: Record<string, string>;
  /** Writes config.json. */
  configure(config: object): Promise<void>;
}

/** Makes directories for a host. Disposing of them ends the host that uses them, and removes them. */
export async function makeHostDirectories(): Promise<TestDirectories> {
  const root = await mkdtemp(join(tmpdir(), "claudecluster-host-"));
  const directories = {
    configDirectory: join(root, "config"),
    stateDirectory: join(root, "state"),
    runtimeDirectory: join(root, "run"),
  };
  await mkdir(directories.configDirectory, { mode: 0o700 });
  return {
    directories,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: process.env["HOME"] ?? "",
      CLAUDECLUSTER_CONFIG_DIR: directories.configDirectory,
      CLAUDECLUSTER_STATE_DIR: directories.stateDirectory,
      CLAUDECLUSTER_RUNTIME_DIR: directories.runtimeDirectory,
    },
    configure: (config) =>
      writeFile(join(directories.configDirectory, "config.json"), JSON.stringify(config), { mode: 0o600 }),
    async [Symbol.asyncDispose]() {
      using link = new HostLink({ directories, env: {} });
      if ((await link.find()) !== undefined) await link.stopHost({ onlyWithoutLiveSessions: false });
      await link.gone();
      await rm(root, { recursive: true });
    },
  };
}
