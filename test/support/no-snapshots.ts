import type { Snapshots } from "../../host/session/snapshots.ts";

/** For sessions that start with no snapshot of a repository. */
export const NO_SNAPSHOTS: Snapshots = {
  open: () => Promise.reject(new Error("no snapshots here")),
  serve: () => {
    throw new Error("no snapshots here");
  },
};
