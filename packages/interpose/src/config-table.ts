// Generated from packages/interpose/config.json by scripts/generate-config.mjs; do not edit.
// biome-ignore-all format: generated
import type { ConfigVariable } from "./config.js";

/** The settings of zIO; what is left out has its default. */
export interface Settings {
  /** `ZIO_POLICY`: Which inputs and copies become views instead of bytes moved. */
  policy?: "always" | "learn" | "off" | "paper" | undefined;
  /** `ZIO_THRESHOLD`: The smallest input or copy that is considered. */
  thresholdBytes?: number | undefined;
  /** `ZIO_MEMORY_LIMIT`: The most memory a process keeps in origins; 0 is automatic: a quarter of what the cgroup allows or the machine has. */
  memoryLimitBytes?: number | undefined;
  /** `ZIO_STATS`: An existing directory that gets one counters page per process, kept after exit; unset, the pages lie in a private directory of the user, `/dev/shm/zio-<uid>`, and go at exit. */
  statsDirectory?: string | undefined;
  /** `ZIO_FOLLOW`: Whether programs that this one executes are under zIO too; `no` takes zIO out of the environment when the program starts. */
  follow?: boolean | undefined;
  /** `ZIO_KEEP_HEAP`: Whether glibc's malloc, in a program with large input and under `learn`, keeps up to 64 MiB of freed memory instead of giving it back and asking for it again. */
  keepHeap?: boolean | undefined;
  /** `ZIO_LOG`: A file to append messages of the library to, or `stderr`; unset, the library is silent. */
  logPath?: string | undefined;
  /** `ZIO_DISABLE`: Kernel features to do without, separated by commas. */
  disable?: ("userfaultfd" | "device" | "syscall" | "move" | "procmap-query" | "thread-id" | "poison")[] | undefined;
  /** `ZIO_COSTS`: What steps cost on this machine, in nanoseconds: `word=number`, separated by commas; what is not named has its default. `zio run` sets it to what `zio calibrate` measured. */
  costs?: Partial<Record<"copy" | "copy-large" | "elide" | "input" | "overwrite" | "fault" | "page", number>> | undefined;
  /** `ZIO_SECCOMP`: How many seccomp filters, there when a program starts, are known to let zIO work; under any other number it stays off. `zio run` tries it out and sets it. */
  seccompFilters?: number | undefined;
  /** `ZIO_NVM`: The pool in which writes to the files of `ZIO_NVM_FILES` are logged, an absolute path; unset, all files are the kernel's. */
  nvmPath?: string | undefined;
  /** `ZIO_NVM_FILES`: Which files are logged: patterns with `*`, `?` and `[...]`, separated by colons (`\` escapes a colon and itself). One with a slash is compared with the whole absolute path, one without with the file's name. */
  nvmFiles?: string[] | undefined;
  /** `ZIO_NVM_SIZE`: The size of a pool that is not there yet. */
  nvmSizeBytes?: number | undefined;
  /** `ZIO_NVM_CHECKSUM`: Whether a pool that is not there yet keeps checksums of the data too. */
  nvmChecksum?: boolean | undefined;
  /** `ZIO_NVM_TREE`: Names the processes that share the pool; set by `zio run`. */
  nvmTree?: string | undefined;
  /** `ZIO_NVM_PROVIDER`: The library that keeps the pool; set by `zio run`. */
  nvmProviderPath?: string | undefined;
}

/** Every setting: its variable, its option of `zio run`, its type, default, bounds and meaning. */
export const configTable = [
  {
    "name": "ZIO_POLICY",
    "identifier": "policy",
    "option": "policy",
    "type": "enum",
    "placeholder": "policy",
    "values": [
      {
        "word": "always",
        "meaning": "every input and copy at or above the threshold"
      },
      {
        "word": "learn",
        "meaning": "where recent inputs stayed untouched long enough to pay"
      },
      {
        "word": "off",
        "meaning": "nothing; the hooks only call libc"
      },
      {
        "word": "paper",
        "meaning": "the published rule, for comparison: until pages touched exceed 6 % of the bytes elided"
      }
    ],
    "default": "learn",
    "meaning": "Which inputs and copies become views instead of bytes moved.",
    "property": "policy"
  },
  {
    "name": "ZIO_THRESHOLD",
    "identifier": "threshold",
    "option": "threshold",
    "type": "size",
    "placeholder": "size",
    "default": "16K",
    "min": "4K",
    "max": "1G",
    "meaning": "The smallest input or copy that is considered.",
    "property": "thresholdBytes",
    "minBytes": 4096,
    "maxBytes": 1073741824
  },
  {
    "name": "ZIO_MEMORY_LIMIT",
    "identifier": "memory_limit",
    "option": "memory-limit",
    "type": "size",
    "placeholder": "size",
    "default": "0",
    "min": "1M",
    "max": "1024G",
    "meaning": "The most memory a process keeps in origins; 0 is automatic: a quarter of what the cgroup allows or the machine has.",
    "property": "memoryLimitBytes",
    "minBytes": 1048576,
    "maxBytes": 1099511627776
  },
  {
    "name": "ZIO_STATS",
    "identifier": "stats",
    "option": "stats",
    "property": "statsDirectory",
    "type": "path",
    "placeholder": "file",
    "default": "",
    "meaning": "An existing directory that gets one counters page per process, kept after exit; unset, the pages lie in a private directory of the user, `/dev/shm/zio-<uid>`, and go at exit.",
    "optionMeaning": "Write the counters of the whole process tree to this file as JSON when the command ends."
  },
  {
    "name": "ZIO_FOLLOW",
    "identifier": "follow",
    "option": "no-follow",
    "type": "flag",
    "default": "yes",
    "meaning": "Whether programs that this one executes are under zIO too; `no` takes zIO out of the environment when the program starts.",
    "property": "follow"
  },
  {
    "name": "ZIO_KEEP_HEAP",
    "identifier": "keep_heap",
    "option": "no-keep-heap",
    "type": "flag",
    "default": "yes",
    "meaning": "Whether glibc's malloc, in a program with large input and under `learn`, keeps up to 64 MiB of freed memory instead of giving it back and asking for it again.",
    "property": "keepHeap"
  },
  {
    "name": "ZIO_LOG",
    "identifier": "log",
    "option": "log",
    "type": "path",
    "placeholder": "file",
    "default": "",
    "meaning": "A file to append messages of the library to, or `stderr`; unset, the library is silent.",
    "property": "logPath"
  },
  {
    "name": "ZIO_DISABLE",
    "identifier": "disable",
    "option": "disable",
    "type": "list",
    "placeholder": "list",
    "default": "",
    "meaning": "Kernel features to do without, separated by commas.",
    "values": [
      {
        "word": "userfaultfd",
        "meaning": "everything: programs run unchanged"
      },
      {
        "word": "device",
        "meaning": "/dev/userfaultfd; the system call is tried alone"
      },
      {
        "word": "syscall",
        "meaning": "userfaultfd(2); the device is tried alone"
      },
      {
        "word": "move",
        "meaning": "UFFDIO_MOVE: pages are evicted by madvise and filled by copying"
      },
      {
        "word": "procmap-query",
        "meaning": "PROCMAP_QUERY: /proc/self/maps is parsed instead"
      },
      {
        "word": "thread-id",
        "meaning": "the faulting thread is not known to statistics"
      },
      {
        "word": "poison",
        "meaning": "UFFDIO_POISON: a page that cannot be filled reads zeros"
      }
    ],
    "property": "disable"
  },
  {
    "name": "ZIO_COSTS",
    "identifier": "costs",
    "option": "costs",
    "type": "numbers",
    "placeholder": "list",
    "default": "",
    "min": "0",
    "max": "10000000",
    "meaning": "What steps cost on this machine, in nanoseconds: `word=number`, separated by commas; what is not named has its default. `zio run` sets it to what `zio calibrate` measured.",
    "values": [
      {
        "word": "copy",
        "number": 4000,
        "meaning": "memcpy of 64 KiB, in a copy of less than 256 KiB"
      },
      {
        "word": "copy-large",
        "number": 4900,
        "meaning": "memcpy of 64 KiB, in a larger copy"
      },
      {
        "word": "elide",
        "number": 1300,
        "meaning": "making the views of a copy"
      },
      {
        "word": "input",
        "number": 5000,
        "meaning": "redirecting an input, publishing its views and presenting them"
      },
      {
        "word": "overwrite",
        "number": 700,
        "meaning": "an input that went to the bytes of the last"
      },
      {
        "word": "fault",
        "number": 18000,
        "meaning": "a fault on a view"
      },
      {
        "word": "page",
        "number": 1500,
        "meaning": "each page that a fault fills"
      }
    ],
    "property": "costs",
    "minBytes": 0,
    "maxBytes": 10000000
  },
  {
    "name": "ZIO_SECCOMP",
    "identifier": "seccomp",
    "option": "seccomp",
    "property": "seccompFilters",
    "type": "count",
    "placeholder": "number",
    "default": "0",
    "min": "0",
    "max": "1024",
    "meaning": "How many seccomp filters, there when a program starts, are known to let zIO work; under any other number it stays off. `zio run` tries it out and sets it.",
    "minBytes": 0,
    "maxBytes": 1024
  },
  {
    "name": "ZIO_NVM",
    "identifier": "nvm",
    "option": "nvm",
    "property": "nvmPath",
    "type": "file",
    "placeholder": "pool",
    "default": "",
    "meaning": "The pool in which writes to the files of `ZIO_NVM_FILES` are logged, an absolute path; unset, all files are the kernel's.",
    "optionMeaning": "The pool in which writes to the files of --nvm-file are logged; it is made where it is absent, and recovered where that is due."
  },
  {
    "name": "ZIO_NVM_FILES",
    "identifier": "nvm_files",
    "option": "nvm-file",
    "type": "patterns",
    "placeholder": "pattern",
    "default": "",
    "meaning": "Which files are logged: patterns with `*`, `?` and `[...]`, separated by colons (`\\` escapes a colon and itself). One with a slash is compared with the whole absolute path, one without with the file's name.",
    "optionMeaning": "Log writes to files that match this pattern in the pool; may be given several times. With a slash it is compared with the whole path, without with the file's name.",
    "property": "nvmFiles"
  },
  {
    "name": "ZIO_NVM_SIZE",
    "identifier": "nvm_size",
    "option": "nvm-size",
    "type": "size",
    "placeholder": "size",
    "default": "1G",
    "min": "16M",
    "max": "1024G",
    "meaning": "The size of a pool that is not there yet.",
    "property": "nvmSizeBytes",
    "minBytes": 16777216,
    "maxBytes": 1099511627776
  },
  {
    "name": "ZIO_NVM_CHECKSUM",
    "identifier": "nvm_checksum",
    "option": "nvm-checksum",
    "type": "flag",
    "default": "no",
    "meaning": "Whether a pool that is not there yet keeps checksums of the data too.",
    "property": "nvmChecksum"
  },
  {
    "name": "ZIO_NVM_TREE",
    "identifier": "nvm_tree",
    "option": "nvm-tree",
    "type": "text",
    "placeholder": "token",
    "internal": true,
    "default": "",
    "meaning": "Names the processes that share the pool; set by `zio run`.",
    "property": "nvmTree"
  },
  {
    "name": "ZIO_NVM_PROVIDER",
    "identifier": "nvm_provider",
    "option": "nvm-provider",
    "property": "nvmProviderPath",
    "type": "file",
    "placeholder": "file",
    "internal": true,
    "default": "",
    "meaning": "The library that keeps the pool; set by `zio run`."
  }
] as const satisfies readonly ConfigVariable[];
