/** What the addon of this package exports. */
export interface NativeBinding {
  /** The interface version of the zIO that is active in this process, or null. */
  activeAbiVersion(): number | null;
}
