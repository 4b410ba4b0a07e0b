import type { GitAccess } from "../../host/session/session-broker.ts";

/** A user without any credential for git servers. */
export const NO_GIT_CREDENTIALS: GitAccess = {
  credentials: {
    fill: () => Promise.resolve(undefined),
    approve: () => Promise.resolve(),
    reject: () => Promise.resolve(),
  },
  repositories: [],
  pushRefs: ["refs/heads/claude/*"],
};
