/** What the addon of this package exports. */
export interface NativeBinding {
  abiVersion(): number;
  /** The interface version of the zIO that is active in this process, or null. */
  activeAbiVersion(): number | null;
  /** execve with these descriptors left open; returns a negative errno, if at all. */
  replaceProcess(path: string, words: string[], environment: string[], descriptors: number[]): number;
}
