"use strict";
const { platformProblem } = require("@zio/core");
const { installNative } = require("@zio/core/install-native");

process.exitCode = installNative("@zio/fault-handler", __dirname, platformProblem());
