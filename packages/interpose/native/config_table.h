/* Generated from packages/interpose/config.json by scripts/generate-config.mjs; do not edit. */
#ifndef ZIO_CONFIG_TABLE_H
#define ZIO_CONFIG_TABLE_H

#include <stdint.h>

/* clang-format off */
/* The words of ZIO_POLICY: X(word, constant). */
#define ZIO_POLICY_WORDS(X) \
  X("always", ZIO_POLICY_ALWAYS) \
  X("learn", ZIO_POLICY_LEARN) \
  X("off", ZIO_POLICY_OFF) \
  X("paper", ZIO_POLICY_PAPER)

enum zio_policy { ZIO_POLICY_ALWAYS, ZIO_POLICY_LEARN, ZIO_POLICY_OFF, ZIO_POLICY_PAPER };

/* Every setting: X(identifier, "ZIO_NAME", kind, default, min, max) with the kinds SIZE (bytes; the text may end in
 * K, M or G), COUNT, ENUM (one of ZIO_NAME_WORDS), LIST (words separated by commas), NUMBERS (word=number,
 * separated by commas), PATH, FILE and TEXT (as they come), PATTERNS (separated by colons) and FLAG (yes or no). A size
 * equal to the default is valid even outside [min, max]. LIST, NUMBERS, PATH, FILE, TEXT and PATTERNS have no default: 0. */
#define ZIO_CONFIG(X) \
  X(policy, "ZIO_POLICY", ENUM, ZIO_POLICY_LEARN, 0, 3) \
  X(threshold, "ZIO_THRESHOLD", SIZE, UINT64_C(16384), UINT64_C(4096), UINT64_C(1073741824)) \
  X(memory_limit, "ZIO_MEMORY_LIMIT", SIZE, UINT64_C(0), UINT64_C(1048576), UINT64_C(1099511627776)) \
  X(stats, "ZIO_STATS", PATH, 0, 0, 0) \
  X(follow, "ZIO_FOLLOW", FLAG, 1, 0, 1) \
  X(keep_heap, "ZIO_KEEP_HEAP", FLAG, 1, 0, 1) \
  X(log, "ZIO_LOG", PATH, 0, 0, 0) \
  X(disable, "ZIO_DISABLE", LIST, 0, 0, 0) \
  X(costs, "ZIO_COSTS", NUMBERS, 0, UINT64_C(0), UINT64_C(10000000)) \
  X(seccomp, "ZIO_SECCOMP", COUNT, UINT64_C(0), UINT64_C(0), UINT64_C(1024)) \
  X(nvm, "ZIO_NVM", FILE, 0, 0, 0) \
  X(nvm_files, "ZIO_NVM_FILES", PATTERNS, 0, 0, 0) \
  X(nvm_size, "ZIO_NVM_SIZE", SIZE, UINT64_C(1073741824), UINT64_C(16777216), UINT64_C(1099511627776)) \
  X(nvm_checksum, "ZIO_NVM_CHECKSUM", FLAG, 0, 0, 1) \
  X(nvm_tree, "ZIO_NVM_TREE", TEXT, 0, 0, 0) \
  X(nvm_provider, "ZIO_NVM_PROVIDER", FILE, 0, 0, 0)
/* clang-format on */

#endif
