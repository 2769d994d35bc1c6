// Case 9: large buffers for files that are not data files (victims/special_files.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("special_files", {
  "eventfd, timerfd and signalfd deliver their records": "event-files",
  "inotify delivers whole events": "inotify",
  "files of /proc read the same in any buffer": "procfs",
  "a pseudo terminal delivers lines, bytes and EIO as plain": "pty",
  "/dev/zero, urandom and getrandom fill views": "devices",
  "memfds and FIFOs behave like files and pipes": "named",
  "a file that changes after it was read does not change the memory": "changing-file",
  "netlink datagrams come whole": "netlink",
});
