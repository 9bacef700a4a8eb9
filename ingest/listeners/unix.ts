import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import type { Listener } from './listener.ts';
import { type StreamKind, StreamListener, type StreamListenerOptions } from './stream.ts';

/** Who belongs to the group of its file may send. */
const mode = 0o660;

/**
 * Syslog over a unix stream socket, framed as over TCP, or what else comes by one. A socket that a dead process left is
 * replaced; the file is removed at the end. (Node has no unix datagram sockets.)
 * @throws the system's error where it cannot listen there: EADDRINUSE if someone answers, or another kind of file is there
 */
export async function openUnixListener(
  options: StreamListenerOptions & { readonly path: string },
  kind: StreamKind = { name: 'syslog-unix' },
): Promise<Listener> {
  // Syslog is not answered: there the end of what comes is that of the connection.
  const server = createServer({ allowHalfOpen: kind.read !== undefined });
  const listener = new StreamListener(server, options, { ...kind, machine: hostname() });
  try {
    await listen(server, options.path);
  } catch (error) {
    if (!(await isLeft(options.path))) throw error;
    await unlink(options.path);
    await listen(server, options.path);
  }
  return listener;
}

async function listen(server: Server, path: string): Promise<void> {
  server.listen({ path, backlog: 1024 });
  await once(server, 'listening');
  await chmod(path, mode);
}

/** Whether a path is a socket that nobody listens on. */
async function isLeft(path: string): Promise<boolean> {
  const isSocket = await lstat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
  if (!isSocket) return false;
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}
