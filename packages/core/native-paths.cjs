"use strict";
// Where the C headers and sources of this package lie, for binding.gyp of this package and of those that build on it.
// Every path is relative to the current directory: gyp's make generator breaks on absolute paths with spaces or colons.
const { existsSync, readdirSync } = require("node:fs");
const { join, relative } = require("node:path");

const here = (directory) => relative(process.cwd(), join(__dirname, directory)) || ".";

/** The files of `directories` (relative to the current one, absent ones skipped) with this extension, unit files apart. */
function sourcesIn(directories, extension = ".c") {
  return directories.filter(existsSync).flatMap((directory) =>
    readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(extension) && !/^zio_.*_unit\.c$/.test(entry.name))
      .map((entry) => join(directory, entry.name))
      .sort(),
  );
}

exports.include = here("include");
exports.native = here("native");
exports.sourcesIn = sourcesIn;
