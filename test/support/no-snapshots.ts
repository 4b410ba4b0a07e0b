import type { UploadTaker } from "../../host/control/upload-snapshot.ts";
import type { Snapshots } from "../../host/session/snapshots.ts";

/** For sessions that start with no snapshot of a repository. */
export const NO_SNAPSHOTS: Snapshots = {
  open: () => Promise.reject(new Error("no snapshots here")),
  supply: () => Promise.resolve(undefined),
  isLarge: () => Promise.resolve(false),
  redeem: () => {
    throw new Error("no snapshots here");
  },
  close: () => Promise.resolve(),
  serve: () => {
    throw new Error("no snapshots here");
  },
};

/** For hosts that nothing is uploaded to. */
export const NO_UPLOADS: UploadTaker = {
  receive: () => {
    throw new Error("no uploads here");
  },
};
