/** The directory of the C headers, relative to the current directory. */
export const include: string;
/** The directory of the C sources. */
export const native: string;
