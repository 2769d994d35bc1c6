/** The directory of the C headers, relative to the current directory. */
export const include: string;
/** The directory of the C sources. */
export const native: string;
/** The files of directories (relative to the current one, absent ones skipped) with an extension, ".c" unless told; unit files apart. */
export function sourcesIn(directories: readonly string[], extension?: string): string[];
