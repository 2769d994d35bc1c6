export {
  type AbsentAdapter,
  type Adapter,
  type AdapterCapability,
  type AvailableAdapter,
  adapters,
} from "./adapters.js";
export { headerPath } from "./header-path.js";
export { packageVersion } from "./version.js";
