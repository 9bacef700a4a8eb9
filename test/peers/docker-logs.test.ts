import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Found, search } from '../support/search.ts';
import { freePort, type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';

const certificates = resolve(import.meta.dirname, '../support/certificates');
const file = (name: string): string => join(certificates, name);

let docker: Docker;
let server: Server;
let folder: string;
let image: string;
let digest: string;
let ways: Readonly<Record<Way, readonly string[]>>;
beforeAll(async () => {
  const tlsPort = await freePort();
  folder = await mkdtemp(join(tmpdir(), 'shiplog-docker-logs-'));
  const socket = join(folder, 'socket');
  server = await startServer({
    SHIPLOG_INGEST_SYSLOG_UNIX: socket,
    SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: `127.0.0.1:${tlsPort}`,
    SHIPLOG_INGEST_SYSLOG_TLS_CERT: file('server.pem'),
    SHIPLOG_INGEST_SYSLOG_TLS_KEY: file('server.key'),
    SHIPLOG_INGEST_SYSLOG_TLS_CLIENT_CA: file('ca.pem'),
  });
  ways = {
    tcp: [`syslog-address=tcp://127.0.0.1:${server.syslogPort}`],
    udp: [`syslog-address=udp://127.0.0.1:${server.syslogPort}`],
    'tcp+tls': [
      `syslog-address=tcp+tls://127.0.0.1:${tlsPort}`,
      `syslog-tls-ca-cert=${file('ca.pem')}`,
      `syslog-tls-cert=${file('client.pem')}`,
      `syslog-tls-key=${file('client.key')}`,
    ],
    unix: [`syslog-address=unix://${socket}`],
  };
  docker = await startDocker();
  image = `127.0.0.1:${server.httpPort}/team/logs:1.0`;
  await docker.buildBusybox(image);
  digest = /digest: (sha256:[0-9a-f]{64})/.exec(await docker.cli(['push', image]))?.[1] ?? 'no digest';
});
afterAll(async () => {
  await docker[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

type Way = 'tcp' | 'udp' | 'tcp+tls' | 'unix';
const formats = ['', 'rfc3164', 'rfc5424', 'rfc5424micro'] as const;

/** The options by which a container's lines arrive fully tagged. */
function driver(way: Way, format: string): string[] {
  const tag = 'tag=v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|prod';
  const options = [...ways[way], tag, ...(format === '' ? [] : [`syslog-format=${format}`])];
  return ['--log-driver=syslog', ...options.flatMap((option) => ['--log-opt', option])];
}

/** A container's records, oldest first. */
async function logsOf(name: string, count: number): Promise<Found[]> {
  const found = await eventually(
    () => search(server, `container:${name}`),
    (records) => records.length >= count,
  );
  return found.toReversed();
}

const long = 100 * 1024;
const says = `for n in 1 2 3 4 5 6 7 8; do echo "line $n"; done; busybox=/bin/busybox; $busybox head -c ${long} /dev/zero | $busybox tr '\\0' x; echo; echo last; echo "an error" >&2`;

describe.each<Way>(['tcp', 'udp', 'tcp+tls', 'unix'])('over %s', (way) => {
  test.each(formats)(
    'in the format %j all is found: host, cluster, container, image, digest, stream, text and order',
    async (format) => {
      const name = `logs-${way.replace('+', '-')}-${format}`.replace(/-$/, '');
      await docker.run(image, ['sh', '-c', says], [...driver(way, format), '--name', name]);
      const records = await logsOf(name, 11);
      const of = (stream: string): Found[] =>
        records.filter(({ shiplog }) => JSON.stringify(shiplog).includes(`"${stream}"`));
      const texts = [...Array.from({ length: 8 }, (_, n) => `line ${n + 1}`), 'x'.repeat(long), 'last'];
      expect(of('stdout').map(({ message }) => message)).toEqual(texts);
      expect(of('stderr').map(({ message }) => message)).toEqual(['an error']);
      for (const record of records) {
        expect(record).toMatchObject({
          host: { name: hostname() },
          orchestrator: { cluster: { name: 'prod' } },
          container: {
            id: expect.stringMatching(/^[0-9a-f]{64}$/),
            name,
            runtime: 'docker',
            image: { name: image.slice(0, -4), tag: ['1.0'], hash: { all: [digest] } },
          },
        });
      }
      expect(of('stderr')[0]).toMatchObject({ log: { level: 'error' } });
    },
  );
});

test.each<Way>(['tcp', 'udp', 'tcp+tls', 'unix'])(
  'over %s a line after a restart of shiplog arrives, and so does the one before it',
  async (way) => {
    const name = `restart-${way.replace('+', '-')}`;
    const waits = `echo before; while [ ! -e /go ]; do /bin/busybox sleep 0.1; done; echo after; echo last`;
    await docker.cli([
      'run',
      '--detach',
      '--network=host',
      ...driver(way, 'rfc5424micro'),
      '--name',
      name,
      image,
      'sh',
      '-c',
      waits,
    ]);
    expect((await logsOf(name, 1)).map(({ message }) => message)).toEqual(['before']);
    expect(await server.stop()).toBe(0);
    await server.start();
    await docker.cli(['exec', name, '/bin/busybox', 'touch', '/go']);
    expect((await logsOf(name, 3)).map(({ message }) => message)).toEqual(['before', 'after', 'last']);
    await docker.cli(['rm', '--force', name]);
  },
);
