export { headerPath } from "./header-path.js";
export { packageVersion } from "./version.js";
