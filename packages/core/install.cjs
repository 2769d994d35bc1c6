"use strict";
const { platformProblem } = require("./dist/index.cjs");
const { installNative } = require("./install-native.cjs");

process.exitCode = installNative("@zio/core", __dirname, platformProblem());
