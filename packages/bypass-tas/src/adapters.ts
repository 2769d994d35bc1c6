/** What a stack can do: the flags of `zio/io_stack.h`. */
export type AdapterCapability =
  /** Received bytes stay in the stack's memory until they are released. */
  | "holds-received"
  /** Held pieces of a channel are reclaimed in the order of receipt only. */
  | "releases-in-order"
  /** A transmit may return before its bytes have been read. */
  | "transmits-by-reference"
  /** A peer can write to held memory. */
  | "peer-writable"
  /** Channels are descriptors of the kernel: poll, epoll and select stay the kernel's. */
  | "kernel-descriptors";

interface Named {
  /** The word by which the adapter is known. */
  name: "kernel" | "shm" | "lwip" | "tas";
  /** What it is for. */
  purpose: string;
}

/** One that can be used: where it is, and what it can do. */
export interface AvailableAdapter extends Named {
  available: true;
  /** `libzio.so` where it is compiled into the library of `@zio/interpose`. */
  providedBy: "libzio.so";
  capabilities: readonly AdapterCapability[];
}

/** One that cannot be used, and why. */
export interface AbsentAdapter extends Named {
  available: false;
  reason: string;
}

export type Adapter = AvailableAdapter | AbsentAdapter;

const notImplemented = "it is not implemented: this version of @zio/bypass-tas contains the interface alone";

const known: readonly Adapter[] = [
  {
    name: "kernel",
    purpose: "the sockets, pipes and files of Linux",
    available: true,
    providedBy: "libzio.so",
    capabilities: ["kernel-descriptors"],
  },
  { name: "shm", purpose: "sockets between processes of one host", available: false, reason: notImplemented },
  { name: "lwip", purpose: "TCP in user space over AF_XDP", available: false, reason: notImplemented },
  { name: "tas", purpose: "a running TAS process", available: false, reason: notImplemented },
];

/** Every adapter that zIO knows of, the kernel's first: those that exist with what they can do, the others with the reason. */
export function adapters(): Adapter[] {
  return structuredClone([...known]);
}
