import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Found, search } from '../support/search.ts';
import { freePort, type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';

const token = 'd3b07384d113edec49eaa6238ad5ff00';
const tag = 'v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|prod';
const ports = { forward: 0, gelfTcp: 0, gelfUdp: 0 };
let socket: string;

const stack = new AsyncDisposableStack();
let docker: Docker;
let server: Server;
let image: string;
let digest: string;
let host: string;
beforeAll(async () => {
  docker = stack.use(await startDocker());
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-drivers-'));
  stack.defer(() => rm(folder, { recursive: true }));
  socket = join(folder, 'forward');
  await writeFile(join(folder, 'tokens'), `docker ${token}\n`);
  for (const name of ['forward', 'gelfTcp', 'gelfUdp'] as const) ports[name] = await freePort();
  const settings = {
    SHIPLOG_INGEST_FORWARD_LISTEN: `127.0.0.1:${ports.forward}`,
    SHIPLOG_INGEST_FORWARD_UNIX: socket,
    SHIPLOG_INGEST_GELF_TCP: `127.0.0.1:${ports.gelfTcp}`,
    SHIPLOG_INGEST_GELF_UDP: `127.0.0.1:${ports.gelfUdp}`,
    SHIPLOG_INGEST_HTTP_TOKENS_FILE: join(folder, 'tokens'),
  };
  server = stack.use(await startServer(settings));
  image = `127.0.0.1:${server.httpPort}/team/web:1.4`;
  await docker.buildBusybox(image, { 'org.opencontainers.image.revision': '4f2a' });
  digest = /digest: (sha256:[0-9a-f]{64})/.exec(await docker.cli(['push', image]))?.[1] ?? 'no digest';
  host = (await docker.cli(['info', '--format', '{{.Name}}'])).trim();
});
afterAll(() => stack.disposeAsync());

interface Driver {
  readonly name: string;
  /** The options of `docker run`. */
  readonly options: () => readonly string[];
  /** Whether bytes arrive as they are: JSON has none but characters, and a cut goes through them. */
  readonly keepsBytes?: boolean;
}

const options = (driver: string, settings: Readonly<Record<string, string>>): readonly string[] => [
  `--log-driver=${driver}`,
  ...Object.entries({ tag, labels: 'team', ...settings }).flatMap(([key, value]) => ['--log-opt', `${key}=${value}`]),
];
const fluentd = (more: Readonly<Record<string, string>> = {}): readonly string[] =>
  options('fluentd', { 'fluentd-address': `127.0.0.1:${ports.forward}`, ...more });
const splunk = (more: Readonly<Record<string, string>> = {}): readonly string[] =>
  options('splunk', { 'splunk-url': server.url, 'splunk-token': token, ...more });
const gelf = (address: string, more: Readonly<Record<string, string>> = {}): readonly string[] =>
  options('gelf', { 'gelf-address': address, ...more });

const acknowledged = { 'fluentd-request-ack': 'true', 'fluentd-sub-second-precision': 'true' };

const drivers: readonly Driver[] = [
  { name: 'fluentd', options: () => fluentd(), keepsBytes: true },
  { name: 'fluentd, acknowledged', options: () => fluentd(acknowledged), keepsBytes: true },
  {
    name: 'fluentd over a unix socket',
    options: () => fluentd({ ...acknowledged, 'fluentd-address': `unix://${socket}` }),
    keepsBytes: true,
  },
  { name: 'splunk', options: () => splunk() },
  { name: 'splunk, without a copy for docker logs', options: () => splunk({ 'cache-disabled': 'true' }) },
  { name: 'splunk, gzip, format json', options: () => splunk({ 'splunk-gzip': 'true', 'splunk-format': 'json' }) },
  { name: 'gelf over tcp', options: () => gelf(`tcp://127.0.0.1:${ports.gelfTcp}`) },
  { name: 'gelf over udp', options: () => gelf(`udp://127.0.0.1:${ports.gelfUdp}`) },
  {
    name: 'gelf over udp, zlib',
    options: () => gelf(`udp://127.0.0.1:${ports.gelfUdp}`, { 'gelf-compression-type': 'zlib' }),
  },
  {
    name: 'gelf over udp, plain',
    options: () => gelf(`udp://127.0.0.1:${ports.gelfUdp}`, { 'gelf-compression-type': 'none' }),
  },
];

/** Records of a container in the order in which they were written. */
async function find(container: string, count: number): Promise<Found[]> {
  const found = await eventually(
    () => search(server, `container:${container}`),
    (records) => records.length >= count,
    60_000,
  );
  return found.toReversed();
}

describe.each(drivers)('by the driver $name', ({ name, options: optionsOf, keepsBytes = false }) => {
  const container = `c-${name.replaceAll(/[^a-z]+/g, '-')}`;
  const letters = keepsBytes ? `a${'é'.repeat(50_000)}` : 'a'.repeat(100_000);
  const write = keepsBytes ? "yes é | head -n 50000 | tr -d '\\n'" : "yes a | head -n 99999 | tr -d '\\n'";
  const lines = ['one', 'two', letters, 'four'];

  test('host, cluster, container, image, digest, labels, stream and text arrive, in order, a long line in one record', async () => {
    // Streams are two pipes; only after a while it is sure which line came first.
    const script = `echo one; echo two; printf a; ${write}; echo; echo four; sleep 0.3; echo five >&2`;
    const run = [...optionsOf(), '--name', container, '--label', 'team=blue'];
    await docker.run(image, ['sh', '-c', script], run);
    const found = await find(container, 5);
    expect(found.map(({ message }) => message.length)).toEqual([...lines.map(({ length }) => length), 4]);
    expect(found.map(({ message }) => message)).toEqual([...lines, 'five']);
    for (const [index, record] of found.entries()) {
      expect(record).toMatchObject({
        host: { name: host },
        orchestrator: { cluster: { name: 'prod' } },
        container: {
          id: expect.stringMatching(/^[0-9a-f]{64}$/),
          name: container,
          runtime: 'docker',
          image: { name: image.replace(':1.4', ''), tag: ['1.4'], hash: { all: [digest] } },
          labels: { team: 'blue', 'org.opencontainers.image.revision': '4f2a' },
        },
        shiplog: { stream: index === 4 ? 'stderr' : 'stdout', image: { repository: 'team/web', revision: '4f2a' } },
      });
      expect(record).not.toHaveProperty('tags');
    }
  });
});

test('what Docker writes before the line (splunk-format=raw) is understood, as far as it can be told', async () => {
  const run = [...splunk({ 'splunk-format': 'raw' }), '--name', 'c-raw'];
  await docker.run(image, ['echo', 'raw line'], run);
  const [record] = await find('c-raw', 1);
  expect(record).toMatchObject({
    message: 'raw line',
    container: { image: { hash: { all: [digest] } } },
    host: { name: host },
  });
});

test('lines with a token that is none are refused, and Docker says so', async () => {
  const wrong = splunk({ 'splunk-token': 'no such token at all' });
  await docker.run(image, ['echo', 'lost'], [...wrong, '--name', 'c-wrong']);
  await sleep(500);
  expect(docker.output()).toContain('Invalid token');
  expect(await search(server, 'container:c-wrong')).toEqual([]);
});

test('by the driver that is answered no line is lost, whenever shiplog is killed and started again', async () => {
  const count = 120;
  // When a container ends, its driver has but 10 s for what is left.
  const loop = `n=0; while [ $n -lt ${count} ]; do n=$((n+1)); echo line $n; sleep 0.05; done; sleep 600`;
  const settings = fluentd({ ...acknowledged, 'fluentd-retry-wait': '100ms' });
  await docker.cli(['run', '--detach', '--network=host', '--name', 'c-kill', ...settings, image, 'sh', '-c', loop]);
  for (let kill = 0; kill < 3; kill += 1) {
    await sleep(1000);
    await server.kill();
    await sleep(500);
    await server.start();
  }
  const found = await find('c-kill', count);
  const wanted = Array.from({ length: count }, (_, n) => `line ${n + 1}`);
  expect([...new Set(found.map(({ message }) => message))]).toEqual(wanted);
  // At least once: what was kept, but not answered, comes again.
  expect(found.length).toBeLessThanOrEqual(count + 3);
  await docker.cli(['rm', '--force', 'c-kill']);
});

test.each([
  ['splunk', () => splunk()],
  ['gelf over tcp', () => gelf(`tcp://127.0.0.1:${ports.gelfTcp}`)],
  ['fluentd', () => fluentd()],
])('by the driver %s the line after an orderly restart arrives', async (name, optionsOf) => {
  const container = `r-${name.replaceAll(/[^a-z]+/g, '-')}`;
  const script = 'echo before; while [ ! -e /go ]; do sleep 0.1; done; echo after; sleep 1; echo last';
  await docker.cli([
    'run',
    '--detach',
    '--network=host',
    '--name',
    container,
    ...optionsOf(),
    image,
    'sh',
    '-c',
    script,
  ]);
  await find(container, 1);
  await server.stop();
  await server.start();
  await docker.cli(['exec', container, '/bin/busybox', 'touch', '/go']);
  await docker.cli(['wait', container]);
  const found = await find(container, 3);
  expect(found.map(({ message }) => message)).toEqual(['before', 'after', 'last']);
  await docker.cli(['rm', '--force', container]);
});
