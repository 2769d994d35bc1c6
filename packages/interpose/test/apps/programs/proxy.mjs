// An HTTP proxy that forwards every request, body and all, to the origin on the port of its argument, as streams do it.
// `/collect` is answered from memory instead: the body is gathered, joined, and sent back.
import { createServer, request } from "node:http";

const originPort = Number(process.argv[2]);

async function collect(incoming, response) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  response.setHeader("content-length", body.length);
  response.end(body);
}

function forward(incoming, response) {
  const { method, url, headers } = incoming;
  const outgoing = request({ host: "127.0.0.1", port: originPort, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  outgoing.on("error", (error) => response.destroy(error));
  incoming.pipe(outgoing);
}

const server = createServer((incoming, response) =>
  incoming.url === "/collect" ? collect(incoming, response) : forward(incoming, response),
);
server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
