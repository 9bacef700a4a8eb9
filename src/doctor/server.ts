import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { ask, type ClientOptions } from '../cli/client.ts';
import type { ListenAddress } from '../config.ts';
import { compareClock } from './clock.ts';
import { type Check, failed, ok, type Finding, skipped } from './finding.ts';

/** How long, in ms, a line may take until it is found, and a connection until it is there. */
const patience = 20_000;

/** The server, and whether a line that is sent to it is found again, for each way in that is configured. */
export function serverChecks(server: ClientOptions): Check[] {
  const running = lookAtServer(server);
  const ways = waysOf(server);
  return [
    { name: 'server', look: () => running },
    ...ways.map(({ name, send }) => ({
      name,
      async look() {
        const answers = await running.then(
          ({ status }) => status === 'ok',
          () => false,
        );
        if (!answers) return skipped('there is no server that takes it');
        return send === undefined
          ? skipped('it cannot be tried from here: it asks for a certificate that client_ca signed')
          : sendAndFind(send, server);
      },
    })),
  ];
}

async function lookAtServer(server: ClientOptions): Promise<Finding> {
  const answer = await ask('/health/ready', server, { also: [503] });
  const state = await answer.text();
  if (!answer.ok) return failed(`it is not ready: ${state}`, 'see what it says of its parts, and its log');
  return compareClock(Date.parse(answer.headers.get('date') ?? '')) ?? ok(`it is ready: ${state}`);
}

interface Way {
  readonly name: string;
  /** Absent: it cannot be tried from here. */
  readonly send?: (line: string) => Promise<void>;
}

function waysOf({ config }: ClientOptions): Way[] {
  const { tcp, udp, unix, tls } = config.ingest.syslog;
  const tlsAddress = tls.listen;
  return [
    ...(tcp === 'off' ? [] : [{ name: 'syslog over TCP', send: (line: string) => sendTo(connect(local(tcp)), line) }]),
    ...(udp === 'off' ? [] : [{ name: 'syslog over UDP', send: (line: string) => sendDatagram(local(udp), line) }]),
    ...(unix === undefined
      ? []
      : [{ name: 'syslog over a socket', send: (line: string) => sendTo(connect({ path: unix }), line) }]),
    ...(tlsAddress === 'off'
      ? []
      : [
          {
            name: 'syslog over TLS',
            ...(tls.client_ca === undefined && { send: (line: string) => sendOverTls(tlsAddress, line) }),
          },
        ]),
  ];
}

/** Where this machine reaches what listens there. */
function local({ host, port }: ListenAddress): ListenAddress {
  const wildcards: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return { host: wildcards[host] ?? host, port };
}

async function sendAndFind(send: (line: string) => Promise<void>, server: ClientOptions): Promise<Finding> {
  const word = `doctor${randomBytes(12).toString('hex')}`;
  const start = performance.now();
  try {
    await send(`<14>1 ${new Date().toISOString()} ${hostname()} shiplog-doctor - - - shiplog doctor was here: ${word}`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failed(`the line cannot be sent: ${reason}`, 'see in the log of the server where it listens (`started`)');
  }
  while (performance.now() - start < patience) {
    const answer = await ask(`/api/logs?q=${word}&limit=1`, server, { also: [503] });
    const text = await answer.text();
    if (answer.ok && text.includes(word)) return ok('a line was sent and found again');
    await sleep(200);
  }
  return failed(
    'a line was sent, and is not found',
    'see whether ingest.syslog.allow lets this machine send, whether ingest.syslog.proxy_protocol expects a PROXY header of ' +
      'it, and what the log of the server says of the log store',
  );
}

async function sendTo(socket: ReturnType<typeof connect>, line: string): Promise<void> {
  socket.setTimeout(patience, () => socket.destroy(new Error('nothing answers')));
  try {
    await once(socket, 'connect');
    await write(socket, line);
  } finally {
    socket.destroy();
  }
}

/** Any certificate will do: nothing is sent that is secret. */
async function sendOverTls(address: ListenAddress, line: string): Promise<void> {
  const socket = connectTls({ ...local(address), rejectUnauthorized: false, timeout: patience });
  try {
    await once(socket, 'secureConnect');
    await write(socket, line);
  } finally {
    socket.destroy();
  }
}

/** Resolves once the other side has closed too, and so has read it. */
async function write(socket: ReturnType<typeof connect>, line: string): Promise<void> {
  const closed = once(socket, 'close');
  socket.resume().end(`${line}\n`);
  await closed;
}

async function sendDatagram({ host, port }: ListenAddress, line: string): Promise<void> {
  await using socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.send(line, port, host, (error) => (error === null ? resolve() : reject(error)));
  });
}
