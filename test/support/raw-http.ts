import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Lower-case name → value; of several of one name, the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** A connection that is written to by hand. */
export interface Line extends Disposable {
  readonly socket: Socket;
  /** All that came so far. */
  readonly received: () => Buffer;
  /** Resolves when the connection is closed, whoever closed it. */
  readonly closed: Promise<void>;
}

/** Connects; disposing cuts the connection. */
export async function dial(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<Line> {
  const socket = connect({ port, host: '127.0.0.1', ...options });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  // A reset is an end like another.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  await once(socket, 'connect');
  return { socket, received: () => Buffer.concat(chunks), closed, [Symbol.dispose]: () => void socket.destroy() };
}

/** Sends bytes on a connection of their own until the server closes it. `end`: nothing more will come. */
export async function exchange(
  port: number,
  bytes: Uint8Array,
  options = { end: false },
): Promise<RawAnswer | undefined> {
  using line = await dial(port, { allowHalfOpen: true });
  line.socket.on('end', () => line.socket.end());
  line.socket.write(bytes);
  if (options.end) line.socket.end();
  await line.closed;
  return parseAnswer(line.received());
}

/** The first answer that is no interim one; undefined: none came. @throws {Error} where it is none of HTTP */
export function parseAnswer(bytes: Buffer): RawAnswer | undefined {
  if (bytes.length === 0) return undefined;
  const end = bytes.indexOf('\r\n\r\n');
  const [first = '', ...lines] = bytes.subarray(0, Math.max(0, end)).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/.exec(first)?.[1]);
  const fields = lines.map((line) => /^([\w-]+): ([\x20-\x7e]*)$/.exec(line));
  if (Number.isNaN(status) || fields.includes(null)) throw new Error(`no answer: ${bytes.toString('latin1', 0, 2000)}`);
  if (status < 200) return parseAnswer(bytes.subarray(end + 4));
  const headers = new Map(fields.map((field) => [field?.[1]?.toLowerCase() ?? '', field?.[2] ?? '']));
  const rest = bytes.subarray(end + 4);
  return { status, headers, body: headers.get('transfer-encoding') === 'chunked' ? joinChunks(rest) : rest };
}

function joinChunks(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\r\n');
  const size = Number.parseInt(bytes.toString('latin1', 0, end), 16);
  if (!(size > 0)) return Buffer.alloc(0);
  return Buffer.concat([bytes.subarray(end + 2, end + 2 + size), joinChunks(bytes.subarray(end + 4 + size))]);
}
