// Generated from include/zio/error.h by scripts/generate-error-codes.mjs: do not edit.

/** The errors that the data plane tells apart: the kernel's errno values, and what they mean here. */
export const dataPlaneErrors = {
  ENOMEM: { errno: 12, message: "out of memory, or the memory limit is reached" },
  EAGAIN: { errno: 11, message: "the address space is changing; copy instead, or try again later" },
  EINVAL: { errno: 22, message: "an argument is out of range or not aligned" },
  ENOSYS: { errno: 38, message: "this kernel does not offer the operation" },
  EPERM: { errno: 1, message: "not permitted to use userfaultfd" },
  EBADF: { errno: 9, message: "the userfaultfd descriptor was closed by the program" },
  EBUSY: { errno: 16, message: "the page is pinned, shared with a child, or registered elsewhere" },
  EEXIST: { errno: 17, message: "the page is already present" },
  ENOENT: { errno: 2, message: "the range is not mapped, or not registered" },
  ESRCH: { errno: 3, message: "the process that owns the memory is gone" },
  ENOTSUP: { errno: 95, message: "this kind of memory cannot hold views" },
} as const;

/** The name of one of them. */
export type DataPlaneErrorCode = keyof typeof dataPlaneErrors;
