/** The directory of the C sources, relative to the current directory. */
export const native: string;
