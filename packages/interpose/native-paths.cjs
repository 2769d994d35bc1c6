"use strict";
// Where the C sources of this package lie, relative to the current directory (see @zio/core/native-paths).
const { join, relative } = require("node:path");

exports.native = relative(process.cwd(), join(__dirname, "native")) || ".";
