import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest, type Server as HttpServer } from 'node:http';
import { freePort, type Server } from '../../support/server.ts';
import { nginxAddress } from './nginx.ts';

/** The requests of a push. */
export const steps = ['POST', 'PATCH', 'PUT', 'manifest'] as const;
export type Step = (typeof steps)[number];

/** Stand between nginx and shiplogs, and kill one of them in the middle of a request. */
export interface Fuses extends AsyncDisposable {
  /** Where nginx reaches each shiplog. */
  readonly ports: readonly number[];
  /** From now on the first request of a kind kills the shiplog that got it: its body half-way, or its answer unheard. */
  arm(step: Step): void;
  /** How many requests were cut off by the kill, when it is over; undefined: there was no such request. */
  blown(): Promise<number | undefined>;
  /** All shiplogs, which run again, can be reached again. */
  renew(): Promise<void>;
}

/** Puts one before each. */
export async function startFuses(servers: readonly Server[]): Promise<Fuses> {
  let armed: Step | undefined;
  let blown: Promise<number> | undefined;
  const ways = await Promise.all(servers.map(async (server) => ({ server, port: await freePort() })));
  const listening = new Map<number, HttpServer>();

  const close = async (port: number): Promise<void> => {
    const way = listening.get(port);
    if (way === undefined) return;
    listening.delete(port);
    const closed = once(way, 'close');
    way.close();
    way.closeAllConnections();
    await closed;
  };

  const open = async (server: Server, port: number): Promise<void> => {
    let [running, taken] = [0, 0];
    const kill = async (): Promise<number> => {
      const [cut, before] = [running, taken];
      await server.kill();
      await close(port);
      return cut + taken - before;
    };
    const blow = (): void => void (blown = kill());
    const way = createServer((from, to) => {
      running += 1;
      taken += 1;
      to.once('close', () => (running -= 1));
      const hit = armed !== undefined && stepOf(from) === armed;
      if (hit) armed = undefined;
      const { method = '', url: path = '', headers } = from;
      const target = { host: '127.0.0.1', port: server.httpPort, localAddress: nginxAddress, agent: false };
      const onward = httpRequest({ ...target, method, path, headers }, (answer) => {
        if (hit) return void answer.resume().once('end', blow);
        to.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('error', () => to.destroy()).pipe(to);
      });
      onward.on('error', () => to.destroy());
      from.on('error', () => onward.destroy());
      const isHalved = hit && hasBody(from) && stepOf(from) !== 'manifest';
      if (isHalved) from.once('data', (chunk: Buffer) => onward.write(chunk.subarray(0, chunk.length / 2), blow));
      else from.pipe(onward);
    });
    way.keepAliveTimeout = 75_000;
    way.listen(port, '127.0.0.1');
    await once(way, 'listening');
    listening.set(port, way);
  };

  const fuses: Fuses = {
    ports: ways.map(({ port }) => port),
    arm(step) {
      armed = step;
      blown = undefined;
    },
    blown: async () => blown,
    async renew() {
      armed = undefined;
      for (const { server, port } of ways) if (!listening.has(port)) await open(server, port);
    },
    async [Symbol.asyncDispose]() {
      for (const port of listening.keys()) await close(port);
    },
  };
  await fuses.renew();
  return fuses;
}

function stepOf({ method = '', url = '' }: IncomingMessage): Step | undefined {
  if (/\/manifests\/[^/]+$/.test(url)) return method === 'PUT' ? 'manifest' : undefined;
  if (!/\/blobs\/uploads\//.test(url)) return undefined;
  return steps.find((step) => step === method);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
