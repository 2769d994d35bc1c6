// Writes what follows from config.json, the one definition of zIO's settings: the C table, the TypeScript table and the
// page of the documentation. `--check` writes nothing and fails when a file is out of date.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const packageDirectory = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const repositoryDirectory = resolve(packageDirectory, "../..");
const notice = "Generated from packages/interpose/config.json by scripts/generate-config.mjs; do not edit.";

/** The words of an X-macro list in a C header: `X("move", ZIO_FEATURE_MOVE, "what is lost")`, with or without a number. */
function wordsOfMacro({ header, macro }) {
  const text = readFileSync(join(packageDirectory, header), "utf8").replaceAll("\\\n", "\n");
  const start = text.indexOf(`#define ${macro}(X)`);
  const end = text.indexOf("\n\n", start);
  if (start < 0 || end < 0) throw new Error(`${header} has no list ${macro}(X)`);
  const words = [...text.slice(start, end).matchAll(/X\("([^"]+)",\s*\w+,\s*(?:(\d+),\s*)?"([^"]+)"\)/g)];
  if (words.length === 0) throw new Error(`the list ${macro}(X) in ${header} is empty`);
  return words.map(([, word, number, meaning]) => ({ word, ...(number && { number: Number(number) }), meaning }));
}

function sizeBytes(text) {
  const [, digits, unit] = /^(\d+)([KMG]?)$/.exec(text);
  return BigInt(digits) << { "": 0n, K: 10n, M: 20n, G: 30n }[unit];
}

function readVariables() {
  const { variables } = JSON.parse(readFileSync(join(packageDirectory, "config.json"), "utf8"));
  return variables.map(({ valuesFrom, ...variable }) =>
    valuesFrom ? { ...variable, values: wordsOfMacro(valuesFrom) } : variable,
  );
}

const cConstant = (variable, word) => `${variable.name}_${word.toUpperCase().replaceAll("-", "_")}`;
const cSize = (text) => `UINT64_C(${sizeBytes(text)})`;

function cRow(variable) {
  const { type, identifier, name } = variable;
  const bounds = {
    size: () => [cSize(variable.default), cSize(variable.min), cSize(variable.max)],
    count: () => [cSize(variable.default), cSize(variable.min), cSize(variable.max)],
    enum: () => [cConstant(variable, variable.default), "0", `${variable.values.length - 1}`],
    list: () => ["0", "0", "0"],
    numbers: () => ["0", cSize(variable.min), cSize(variable.max)],
    path: () => ["0", "0", "0"],
    file: () => ["0", "0", "0"],
    text: () => ["0", "0", "0"],
    patterns: () => ["0", "0", "0"],
    flag: () => [variable.default === "yes" ? "1" : "0", "0", "1"],
  }[type]();
  return `  X(${[identifier, `"${name}"`, type.toUpperCase(), ...bounds].join(", ")})`;
}

function cEnum(variable) {
  const constants = variable.values.map(({ word }) => ({ word, constant: cConstant(variable, word) }));
  const list = constants.map(({ word, constant }) => `  X("${word}", ${constant})`).join(" \\\n");
  return `/* The words of ${variable.name}: X(word, constant). */
#define ${variable.name}_WORDS(X) \\
${list}

enum ${variable.name.toLowerCase()} { ${constants.map(({ constant }) => constant).join(", ")} };
`;
}

function cTable(variables) {
  return `/* ${notice} */
#ifndef ZIO_CONFIG_TABLE_H
#define ZIO_CONFIG_TABLE_H

#include <stdint.h>

/* clang-format off */
${variables
  .filter(({ type }) => type === "enum")
  .map(cEnum)
  .join("\n")}
/* Every setting: X(identifier, "ZIO_NAME", kind, default, min, max) with the kinds SIZE (bytes; the text may end in
 * K, M or G), COUNT, ENUM (one of ZIO_NAME_WORDS), LIST (words separated by commas), NUMBERS (word=number,
 * separated by commas), PATH, FILE and TEXT (as they come), PATTERNS (separated by colons) and FLAG (yes or no). A size
 * equal to the default is valid even outside [min, max]. LIST, NUMBERS, PATH, FILE, TEXT and PATTERNS have no default: 0. */
#define ZIO_CONFIG(X) \\
${variables.map(cRow).join(" \\\n")}
/* clang-format on */

#endif
`;
}

const property = ({ property, identifier, type }) =>
  property ??
  identifier.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()) + ({ size: "Bytes", path: "Path" }[type] ?? "");

const propertyType = ({ type, values }) => {
  const words = values?.map(({ word }) => `"${word}"`).join(" | ");
  return {
    size: () => "number",
    count: () => "number",
    path: () => "string",
    file: () => "string",
    text: () => "string",
    patterns: () => "string[]",
    enum: () => words,
    list: () => `(${words})[]`,
    numbers: () => `Partial<Record<${words}, number>>`,
    flag: () => "boolean",
  }[type]();
};

function typeScriptTable(variables) {
  const rows = variables.map((variable) => {
    const withProperty = { ...variable, property: property(variable) };
    if (!["size", "count", "numbers"].includes(variable.type)) return withProperty;
    return { ...withProperty, minBytes: Number(sizeBytes(variable.min)), maxBytes: Number(sizeBytes(variable.max)) };
  });
  const properties = variables.map(
    (variable) =>
      `  /** \`${variable.name}\`: ${variable.meaning} */\n  ${property(variable)}?: ${propertyType(variable)} | undefined;`,
  );
  return `// ${notice}
// biome-ignore-all format: generated
import type { ConfigVariable } from "./config.js";

/** The settings of zIO; what is left out has its default. */
export interface Settings {
${properties.join("\n")}
}

/** Every setting: its variable, its option of \`zio run\`, its type, default, bounds and meaning. */
export const configTable = ${JSON.stringify(rows, null, 2)} as const satisfies readonly ConfigVariable[];
`;
}

function limits({ type, min, max, values }) {
  if (type === "size") return `size, ${min} to ${max}`;
  if (type === "count") return `number, ${min} to ${max}`;
  if (type === "enum") return `one of ${values.map(({ word }) => `\`${word}\``).join(", ")}`;
  if (type === "flag") return "`yes` or `no`";
  if (type === "numbers") return `\`word=number\` separated by commas, each ${min} to ${max}`;
  if (type === "patterns") return "patterns separated by colons";
  if (type === "list") return "words separated by commas";
  return type === "file" ? "path" : type;
}

const optionText = ({ option, placeholder }) => (placeholder ? `--${option} <${placeholder}>` : `--${option}`);
const optionOf = (variable) => (variable.internal ? "none" : `\`${optionText(variable)}\``);

function wordTable({ name, values }) {
  if (values[0].number !== undefined) {
    return `## ${name}

| word | default | meaning |
| --- | --- | --- |
${values.map(({ word, number, meaning }) => `| \`${word}\` | ${number} | ${meaning} |`).join("\n")}
`;
  }
  return `## ${name}

| word | meaning |
| --- | --- |
${values.map(({ word, meaning }) => `| \`${word}\` | ${meaning} |`).join("\n")}
`;
}

function documentation(variables) {
  const rows = variables.map(
    (variable) =>
      `| \`${variable.name}\` | ${optionOf(variable)} | ${limits(variable)} | ${
        variable.default ? `\`${variable.default}\`` : "unset"
      } | ${variable.meaning} |`,
  );
  return `<!-- ${notice} -->
# Configuration

The library reads these variables when a program starts; \`zio run\` sets each from its option, and \`zio env\` prints
them. Sizes are bytes and take K, M and G (powers of 1024). A bad value never stops a program: the default is used, and
\`zio run\` says so in one line. Those of a pool (\`ZIO_NVM\` and the like) are the exception: \`zio run\` refuses them.

| variable | option of \`zio run\` | value | default | meaning |
| --- | --- | --- | --- | --- |
${rows.join("\n")}

\`--stats\` names a file, the variable a directory: \`zio run --stats FILE\` gives the program a private directory for its
pages and writes their sum to FILE.

${variables
  .filter(({ values }) => values)
  .map(wordTable)
  .join("\n")}`;
}

const variables = readVariables();
const outputs = {
  [join(packageDirectory, "native/config_table.h")]: cTable(variables),
  [join(packageDirectory, "src/config-table.ts")]: typeScriptTable(variables),
  [join(repositoryDirectory, "docs/configuration.md")]: documentation(variables),
};
const check = process.argv.includes("--check");
for (const [path, text] of Object.entries(outputs)) {
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  const name = relative(repositoryDirectory, path);
  if (check) {
    console.error(`${name} is out of date; run \`node packages/interpose/scripts/generate-config.mjs\``);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    console.error(`wrote ${name}`);
  }
}
