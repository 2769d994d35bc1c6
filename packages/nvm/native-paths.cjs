"use strict";
// Where the C headers and sources of this package lie, relative to the current directory (see @zio/core/native-paths).
const { join, relative } = require("node:path");

const here = (directory) => relative(process.cwd(), join(__dirname, directory)) || ".";

exports.include = here("include");
exports.native = here("native");
