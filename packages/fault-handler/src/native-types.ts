/** What the addon of this package exports. */
export interface NativeBinding {
  abiVersion(): number;
  coreAbiVersion(): number;
}
