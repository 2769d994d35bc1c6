"use strict";
const { platformProblem } = require("@zio/core");
const { installNative } = require("@zio/core/install-native");

process.exitCode = installNative("@zio/nvm", __dirname, platformProblem());
