// The frames of WebSocket (RFC 6455), as far as a relay needs them: where one ends, and what kind it is.
import { createHash } from "node:crypto";

export const opcodes = { continuation: 0, close: 8, ping: 9, pong: 10 };

/** The answer to a client's Sec-WebSocket-Key. */
export function acceptKey(key) {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** A whole message of binary data, as a server sends it: not masked. */
export function binaryFrame(payload) {
  const header = Buffer.alloc(10);
  header[0] = 0x82;
  header[1] = 127;
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

/** A control frame of a client, which has to be masked; a mask of zeros leaves the payload as it is. */
export function maskedControlFrame(opcode, payload) {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** The bytes of a frame and of its header, or undefined where too little of it is there to tell. */
function measure(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const headerBytes = 2 + lengthBytes + (bytes[1] & 0x80 ? 4 : 0);
  if (bytes.length < headerBytes) return undefined;
  const payloadBytes =
    lengthBytes === 8 ? Number(bytes.readBigUInt64BE(2)) : lengthBytes ? bytes.readUInt16BE(2) : short;
  return { headerBytes, frameBytes: headerBytes + payloadBytes };
}

/** Cuts a stream into frames. Payloads are put together, and not looked at. */
export class FrameReader {
  #chunks = [];
  #got = 0;
  #wanted = 2;

  /** The frames that are whole now: `bytes` with the header, `payload` without. */
  *push(chunk) {
    this.#chunks.push(chunk);
    this.#got += chunk.length;
    while (this.#got >= this.#wanted) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      const measured = measure(bytes);
      this.#wanted = measured ? measured.frameBytes : this.#got + 1;
      if (!measured || bytes.length < measured.frameBytes) continue;
      const { headerBytes, frameBytes } = measured;
      const isMasked = (bytes[1] & 0x80) !== 0;
      const frame = { opcode: bytes[0] & 0x0f, isFinal: (bytes[0] & 0x80) !== 0, isMasked };
      yield { ...frame, bytes: bytes.subarray(0, frameBytes), payload: bytes.subarray(headerBytes, frameBytes) };
      this.#chunks = bytes.length > frameBytes ? [bytes.subarray(frameBytes)] : [];
      this.#got -= frameBytes;
      this.#wanted = 2;
    }
  }
}
