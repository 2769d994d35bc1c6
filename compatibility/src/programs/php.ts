import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { atOnce, bodyOf, Checks, exchange, startBackend } from "../http.js";
import type { Program } from "../program.js";
import { sha256 } from "../stream.js";

/** Reads its input in three ways, fetches from a server, copies, compresses, and sends. */
const script = `<?php
function stream($seed, $length) { return file_get_contents("http://127.0.0.1:" . $_SERVER["BACKEND"] . "/$seed/$length"); }
switch ($_GET["do"]) {
case "hash": $all = file_get_contents("php://input");
  header("X-Joined: " . hash("sha256", $all . $all));
  echo $_SERVER["REQUEST_METHOD"], " ", strlen($all), " ", hash("sha256", $all); break;
case "pieces": $in = fopen("php://input", "r"); $all = ""; while (!feof($in)) $all .= fread($in, 300000);
  echo $_SERVER["REQUEST_METHOD"], " ", strlen($all), " ", hash("sha256", $all); break;
case "form": $file = $_FILES["f"]["tmp_name"]; echo $_FILES["f"]["size"], " ", hash_file("sha256", $file), " ";
  move_uploaded_file($file, $_SERVER["SCRATCH"] . "/" . $_GET["name"]);
  echo hash("sha256", file_get_contents($_SERVER["SCRATCH"] . "/" . $_GET["name"])), " ", hash("sha256", $_POST["text"]); break;
case "get": echo stream($_GET["seed"], $_GET["length"]); break;
case "pass": $in = fopen("http://127.0.0.1:" . $_SERVER["BACKEND"] . "/$_GET[seed]/$_GET[length]", "r"); fpassthru($in); break;
case "turn": $all = stream($_GET["seed"], $_GET["length"]); $half = intdiv(strlen($all), 2);
  $turned = strrev(strrev(substr($all, 0, $half))) . substr($all, $half);
  echo gzuncompress(gzcompress(implode("", str_split($turned, 70001)))); break;
case "file": file_put_contents($name = tempnam($_SERVER["SCRATCH"], "x"), stream($_GET["seed"], $_GET["length"]));
  copy($name, "$name.2"); readfile("$name.2"); unlink($name); unlink("$name.2"); break;
case "flush": foreach (str_split(stream($_GET["seed"], $_GET["length"]), 400000) as $part) { echo $part; flush(); } break;
case "child": $all = stream($_GET["seed"], $_GET["length"]);
  $cat = proc_open(["cat", "-"], [["file", "/dev/null", "r"], ["pipe", "w"]], $pipes); proc_close($cat);
  echo $all; break;
}
`;

export const php: Program = {
  name: "php",
  title: "PHP-FPM",
  what:
    "behind nginx over a Unix socket, both as www-data: uploads (php://input whole and in pieces, forms with files), " +
    "fetches, string functions, files, zlib, child processes; eight scripts at once, workers replaced after 40 requests",
  debianPackages: ["php8.2-fpm", "nginx"],

  async run(context) {
    const { directory } = context;
    const backend = await startBackend();
    const checks = new Checks(context.log);
    const port = await context.freePort();
    try {
      for (const name of ["scratch", "t"]) {
        mkdirSync(join(directory, name));
        chmodSync(join(directory, name), 0o777);
      }
      chmodSync(directory, 0o755);
      writeFileSync(join(directory, "index.php"), script);
      const user = process.getuid?.() === 0 ? "user = www-data\ngroup = www-data\nlisten.owner = www-data" : "";
      writeFileSync(
        join(directory, "fpm.conf"),
        `[global]\nerror_log = ${directory}/fpm.log\ndaemonize = no\n[www]\n${user}\nlisten = ${directory}/fpm.sock\n` +
          "pm = static\npm.max_children = 4\npm.max_requests = 40\nclear_env = no\ncatch_workers_output = yes\n" +
          "php_admin_value[memory_limit] = 256M\nphp_admin_value[upload_max_filesize] = 64M\n" +
          `php_admin_value[post_max_size] = 64M\nphp_admin_value[upload_tmp_dir] = ${directory}/t\n`,
      );
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${directory}/n-${name};`)
        .join(" ");
      writeFileSync(
        join(directory, "nginx.conf"),
        `daemon off; pid ${directory}/pid; error_log ${directory}/error.log; user www-data; worker_processes 1; events {}
http { access_log off; ${temporary} client_max_body_size 0; client_body_buffer_size 512k; fastcgi_buffers 8 128k;
fastcgi_buffer_size 128k; server { listen 127.0.0.1:${port}; location / { include /etc/nginx/fastcgi_params;
fastcgi_param SCRIPT_FILENAME ${directory}/index.php; fastcgi_param BACKEND ${backend.port};
fastcgi_param SCRATCH ${directory}/scratch; fastcgi_pass unix:${directory}/fpm.sock; fastcgi_keep_conn on; }
location /unbuffered/ { fastcgi_buffering off; fastcgi_request_buffering off; include /etc/nginx/fastcgi_params;
fastcgi_param SCRIPT_FILENAME ${directory}/index.php; fastcgi_param BACKEND ${backend.port};
fastcgi_param SCRATCH ${directory}/scratch; fastcgi_pass unix:${directory}/fpm.sock; } } }`,
      );
      const fpm = context.start("php-fpm8.2", ["-n", "-F", "-R", "-y", join(directory, "fpm.conf")]);
      const nginx = context.start("nginx", ["-p", directory, "-c", join(directory, "nginx.conf")]);
      await context.untilListening(port);

      const tasks: (() => Promise<void>)[] = [];
      for (const prefix of ["/", "/unbuffered/"])
        for (const length of [0, 1000, 65536, 700_001, 5_000_000]) {
          const body = bodyOf(`/8/${length}`);
          for (const what of ["hash", "pieces"])
            for (const method of ["PUT", "POST"] as const) {
              const wanted = { port, path: `${prefix}?do=${what}`, body, method };
              tasks.push(() => checks.upload(`${method} ${prefix} ${what} ${length}`, wanted));
            }
          for (const what of ["get", "pass", "turn", "file", "flush", "child"])
            for (const seed of [3, 4]) {
              const wanted = { port, path: `${prefix}?do=${what}&seed=${seed}&length=${length}` };
              const expected = bodyOf(`/${seed}/${length}`);
              tasks.push(() => checks.download(`GET ${prefix} ${what} ${seed} ${length}`, wanted, expected));
            }
          const text = "abc".repeat(100_000);
          const part = (name: string) => `--x\r\nContent-Disposition: form-data; name="${name}"`;
          const form = Buffer.concat([
            Buffer.from(`${part("text")}\r\n\r\n${text}\r\n${part("f")}; filename="f"\r\n\r\n`),
            body,
            Buffer.from("\r\n--x--\r\n"),
          ]);
          const headers = { "content-type": "multipart/form-data; boundary=x" };
          const name = `form ${prefix} ${length}`;
          tasks.push(() =>
            checks.check(name, async () => {
              const path = `${prefix}?do=form&name=${encodeURIComponent(name.replaceAll("/", "-"))}`;
              const answer = await exchange({ port, path, method: "POST", body: form, headers });
              const hash = sha256(body);
              const wanted = `${length} ${hash} ${hash} ${sha256(Buffer.from(text))}`;
              return answer.body.toString() === wanted ? "" : answer.body.toString().slice(0, 300);
            }),
          );
        }
      await atOnce(8, tasks);
      const ends = [await nginx.stop("SIGQUIT"), await fpm.stop("SIGQUIT")];
      checks.same.ends = ends.map(({ status, signal }) => `${status} ${signal}`).join(", ");
      return checks.outcome;
    } finally {
      backend.close();
    }
  },
};
