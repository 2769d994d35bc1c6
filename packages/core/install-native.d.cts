/**
 * What an install script of zIO's native packages does; returns its exit status. With a problem of the platform it compiles
 * nothing.
 */
export function installNative(
  packageName: string,
  packageRoot: string,
  problem: { reason: string; fix: string } | undefined,
): number;
