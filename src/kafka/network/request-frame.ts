/**
 * A request as it goes to the socket: size, header, body. A body that brings room for the header is sent as it is, so that
 * megabytes of records are not copied.
 */
import type { Socket } from "node:net";
import type { ApiRequest } from "../protocol/request.ts";
import { Writer } from "../protocol/wire.ts";

type Written = (error?: Error | null) => void;

/**
 * Writes one request; `written` is called when the socket took it or failed. Request header v1, or v2 when flexible:
 * https://kafka.apache.org/protocol.html#protocol_messages
 */
export function writeRequest<T>(
  socket: Socket,
  request: ApiRequest<T>,
  correlationId: number,
  clientId: Buffer,
  written: Written,
): void {
  const { body } = request;
  const header = (writer: Writer) => writeHeader(writer, request, correlationId, clientId);
  if (typeof body === "function") {
    const writer = header(new Writer(512).int32(0));
    body(writer);
    const frame = writer.finish();
    frame.writeInt32BE(frame.length - 4, 0);
    socket.write(frame, written);
    return;
  }
  const headroom = request.headroom ?? 0;
  const headerBytes = 4 + 10 + clientId.length + (request.flexible ? 1 : 0);
  if (headroom >= headerBytes && !request.flexible) {
    const at = headroom - headerBytes;
    body.writeInt32BE(body.length - at - 4, at);
    body.writeInt16BE(request.key, at + 4);
    body.writeInt16BE(request.version, at + 6);
    body.writeInt32BE(correlationId, at + 8);
    body.writeInt16BE(clientId.length, at + 12);
    body.set(clientId, at + 14);
    socket.write(at === 0 ? body : body.subarray(at), written);
    return;
  }
  socket.cork();
  socket.write(header(new Writer(headerBytes).int32(headerBytes - 4 + body.length - headroom)).finish());
  socket.write(headroom > 0 ? body.subarray(headroom) : body, written);
  socket.uncork();
}

function writeHeader<T>(writer: Writer, request: ApiRequest<T>, correlationId: number, clientId: Buffer): Writer {
  writer.int16(request.key).int16(request.version).int32(correlationId);
  writer.int16(clientId.length).raw(clientId);
  return request.flexible ? writer.noTags() : writer;
}
