declare const process: { env: { CLAUDECLUSTER_VERSION?: string } };

/** Version of this package, set by the build. From source it is "0.0.0-source". */
export const VERSION: string = process.env.CLAUDECLUSTER_VERSION ?? "0.0.0-source";
