import manifest from "../package.json" with { type: "json" };

/** The version of this package. */
export const packageVersion: string = manifest.version;

/** The version of the C interface: of `zio/nvm.h` and the addon of this package. */
export const abiVersion: number = 0;
