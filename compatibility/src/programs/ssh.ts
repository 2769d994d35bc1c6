// OpenSSH on loopback with keys and a configuration of its own. sshd confines its unprivileged half by seccomp.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type Program, Skip } from "../program.js";
import { bytesOfSeed, sha256, sha256OfFile } from "../stream.js";
import { hashOfTree, makeTree } from "../tree.js";

export const ssh: Program = {
  name: "ssh",
  title: "OpenSSH",
  what: "sshd with its seccomp sandbox on loopback: commands, 8 MB pipes both ways, scp, sftp, rsync over ssh, forwarded ports; hashes",
  debianPackages: ["openssh-server", "openssh-client", "rsync"],

  async run(context) {
    if (process.getuid?.() !== 0) throw new Skip("sshd needs root");
    const at = (name: string) => join(context.directory, name);
    const same: Record<string, string> = {};
    const failed: string[] = [];
    for (const name of ["host", "user"])
      await context.succeed("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)], { plain: true });
    await context.succeed("cp", [at("user.pub"), at("authorized")], { plain: true });
    const port = await context.freePort();
    if (!existsSync("/run/sshd")) mkdirSync("/run/sshd", { mode: 0o755 });
    // Sessions do not inherit sshd's environment: what they start is under zIO because sshd is told so.
    const inherited = ["LD_PRELOAD", "ZIO_POLICY", "ZIO_STATS", "ZIO_THRESHOLD", "ZIO_COMPATIBILITY_RUN"];
    const set = inherited
      .filter((name) => context.environment[name])
      .map((name) => `${name}=${context.environment[name]}`);
    const lines = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("authorized")}`,
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "UsePAM no",
      "StrictModes no",
      "PidFile none",
      "Subsystem sftp internal-sftp",
      `SetEnv ${set.join(" ")}`,
    ];
    writeFileSync(at("sshd_config"), `${lines.join("\n")}\n`);
    const server = context.start("/usr/sbin/sshd", ["-D", "-e", "-f", at("sshd_config")]);
    await context.untilListening(port);
    const { username } = userInfo();
    writeFileSync(
      at("ssh_config"),
      `Host there\nHostname 127.0.0.1\nPort ${port}\nUser ${username}\nIdentityFile ${at("user")}\nIdentitiesOnly yes\n` +
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n",
    );
    const config = ["-F", at("ssh_config")];
    const data = bytesOfSeed(21, 8_000_003);
    writeFileSync(at("data"), data);
    const run = async (name: string, command: string, args: string[], stdin?: Buffer) => {
      const end = await context.run(command, [...config, ...args], { timeoutMs: 60_000, ...(stdin ? { stdin } : {}) });
      const text = Buffer.from(end.stdout.toString("latin1").replaceAll(context.directory, ""), "latin1");
      same[name] = `${end.status} ${text.length} ${sha256(text)} ${end.stderr}`;
      if (end.status !== 0) failed.push(`${name} succeeds`);
      return end.stdout;
    };
    const equal = (name: string, file: string) => {
      if (!existsSync(file) || sha256OfFile(file) !== sha256(data)) failed.push(`${name}: the data arrive whole`);
    };
    await run("a command", "ssh", ["there", "echo hello; exit 0"]);
    same["an exit status"] = `${(await context.run("ssh", [...config, "there", "exit 7"])).status}`;
    for (const cipher of ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"]) {
      await run(`through cat, ${cipher}`, "ssh", ["-c", cipher, "there", "cat"], data);
      await run(`from a file, ${cipher}`, "ssh", ["-c", cipher, "there", `cat ${at("data")}`]);
    }
    await run("compressed", "ssh", ["-C", "there", "cat"], data);
    await run("with a terminal", "ssh", [
      "-tt",
      "there",
      `head -c 200000 ${at("data")} | base64 | stty -onlcr; stty size`,
    ]);
    await run("scp up", "scp", ["-q", at("data"), `there:${at("up")}`]);
    equal("scp up", at("up"));
    await run("scp down, old protocol", "scp", ["-O", "-q", `there:${at("data")}`, at("down")]);
    equal("scp down, old protocol", at("down"));
    writeFileSync(at("batch"), `put ${at("data")} ${at("put")}\nget ${at("put")} ${at("got")}\n`);
    await run("sftp", "sftp", ["-q", "-B", "65536", "-b", at("batch"), "there"]);
    equal("sftp", at("got"));

    makeTree(at("tree"));
    const shell = `ssh -F ${at("ssh_config")}`;
    const { status, stderr } = await context.run("rsync", ["-a", "-e", shell, at("tree"), `there:${at("copy")}`]);
    same["rsync over ssh"] = `${status} ${stderr}`;
    if (hashOfTree(at("tree")) !== hashOfTree(at("copy/tree"))) failed.push("rsync over ssh: the copy equals the tree");

    const forwarded = await context.freePort();
    const tunnel = context.start("ssh", [...config, "-N", "-L", `127.0.0.1:${forwarded}:127.0.0.1:${port}`, "there"]);
    await context.untilListening(forwarded);
    await run("through a forwarded port", "ssh", ["-p", `${forwarded}`, "there", "cat"], data);
    await tunnel.stop();
    const end = await server.stop();
    same["sshd ends"] = `${end.signal} ${end.status}`;
    return { checks: 20, failed, same };
  },
};
