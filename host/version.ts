declare const process: { env: { CLAUDECLUSTER_VERSION?: string } };

/** The version of this package; set by the build. */
export const VERSION: string = process.env.CLAUDECLUSTER_VERSION ?? "0.0.0-source";
