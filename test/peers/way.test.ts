import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Found, search } from '../support/search.ts';
import { type Server, startServer } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { type Elasticsearch, startElasticsearch } from './support/elasticsearch.ts';
import { run } from './support/process.ts';

const root = resolve(import.meta.dirname, '../..');
const authorization = `Basic ${Buffer.from('ci:correct horse').toString('base64')}`;

let docker: Docker;
let elasticsearch: Elasticsearch;
beforeAll(async () => {
  docker = await startDocker();
  elasticsearch = await startElasticsearch();
});
afterAll(async () => {
  await elasticsearch[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

/** `npx shiplog ARGS` in the checkout, as a user types it, against a server. */
function npx(server: Server, args: readonly string[], input?: string): Promise<string> {
  const settings = Object.entries(server.env).filter(([name]) => name.startsWith('SHIPLOG_'));
  const env = { ...Object.fromEntries(settings.map(([name, value]) => [name, value ?? ''])), HOME: '/nonexistent' };
  const command = 'cd "$1" && shift && exec npx shiplog "$@"';
  return run('/bin/sh', ['-c', command, 'sh', root, ...args], { env, ...(input !== undefined && { input }) });
}

/** The options of `docker run` by which a container's lines arrive fully tagged. */
function syslog(server: Server): string[] {
  const tag = 'v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|prod';
  const address = `syslog-address=tcp://127.0.0.1:${server.syslogPort}`;
  return [
    '--log-driver=syslog',
    '--log-opt',
    address,
    '--log-opt',
    'syslog-format=rfc5424micro',
    '--log-opt',
    `tag=${tag}`,
  ];
}

const push = async (image: string): Promise<string> =>
  /digest: (sha256:[0-9a-f]{64})/.exec(await docker.cli(['push', image]))?.[1] ?? 'no digest';

function find(server: Server, query: string, count = 1): Promise<Found[]> {
  return eventually(
    () => search(server, query, authorization),
    (found) => found.length >= count,
  );
}

const revision = (value: string): Record<string, string> => ({ 'org.opencontainers.image.revision': value });

describe.each(['embedded', 'elasticsearch'])('with the %s sink', (sink) => {
  let server: Server;
  let image: string;
  beforeAll(async () => {
    const nodes = { SHIPLOG_LOGS_SINK: sink, SHIPLOG_LOGS_ELASTICSEARCH_NODES: elasticsearch.url };
    server = await startServer(sink === 'embedded' ? {} : { ...nodes, SHIPLOG_LOGS_ELASTICSEARCH_DATASET: 'way' });
    image = `127.0.0.1:${server.httpPort}/team/web`;
    await npx(server, ['htpasswd', 'ci'], 'correct horse\n');
    await docker.cli(
      ['login', '--username', 'ci', '--password-stdin', `127.0.0.1:${server.httpPort}`],
      'correct horse',
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('from docker push to a found line: host, cluster, container, image, tag, digest and revision', async () => {
    await docker.buildBusybox('busybox', revision('4f2a'));
    await docker.cli(['tag', 'busybox', `${image}:1.4`]);
    const digest = await push(`${image}:1.4`);
    expect(await docker.cli(['pull', `${image}:1.4`])).toContain(digest);
    expect(await docker.run(`${image}:1.4`, ['echo', 'hello'], [...syslog(server), '--name', `way-${sink}`])).toBe(
      'hello\n',
    );

    const [record] = await find(server, 'image:team/web hello');
    const hostname = (await docker.cli(['info', '--format', '{{.Name}}'])).trim();
    expect(record).toMatchObject({
      message: 'hello',
      host: { name: hostname },
      orchestrator: { cluster: { name: 'prod' } },
      container: {
        id: expect.stringMatching(/^[0-9a-f]{64}$/),
        name: `way-${sink}`,
        image: { name: image, tag: ['1.4'], hash: { all: [digest] } },
        labels: revision('4f2a'),
      },
      shiplog: { stream: 'stdout', image: { repository: 'team/web', revision: '4f2a' } },
    });

    const shown = await npx(server, ['logs', 'image:team/web hello']);
    expect(shown.trim().split('\n')).toHaveLength(1);
    for (const part of [`prod/${hostname}`, `way-${sink}`, `team/web:1.4@${digest.slice(0, 19)}`, 'hello'])
      expect(shown).toContain(part);
    expect(JSON.parse(await npx(server, ['logs', '--json', 'image:team/web hello']))).toEqual(record);
  });

  test('records posted with curl are found, and nothing is taken without a login', async () => {
    const post = ['-s', '-H', 'content-type: application/json', '--data', '{"message":"from curl","host":"build-7"}'];
    const answer = await run('/usr/bin/curl', ['-u', 'ci:correct horse', ...post, `${server.url}/logs`]);
    expect(JSON.parse(answer)).toEqual({ accepted: 1 });
    expect(await run('/usr/bin/curl', [...post, `${server.url}/logs`])).toContain('UNAUTHORIZED');
    const found = await find(server, 'from curl');
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ message: 'from curl', host: { name: 'build-7' } });
    expect(await npx(server, ['logs', '--since', '5m'])).toMatch(/build-7.*from curl/);
  });

  test('a container keeps its digest and revision when another image is pushed under its tag', async () => {
    const digests: string[] = [];
    const started: string[] = [];
    for (const version of ['one', 'two']) {
      await docker.buildBusybox(`${image}:latest`, revision(version));
      digests.push(await push(`${image}:latest`));
      const name = `${version}-${sink}`;
      started.push(name);
      const loop = `n=0; while [ $n -lt 100 ]; do n=$((n+1)); echo ${version} line $n; sleep 0.2; done`;
      await docker.cli([
        'run',
        '--detach',
        '--network=host',
        '--name',
        name,
        ...syslog(server),
        `${image}:latest`,
        'sh',
        '-c',
        loop,
      ]);
      await find(server, `container:${name}`);
    }
    expect(digests[0]).not.toBe(digests[1]);
    // Both run now; the tag points to the second.
    const before = (await search(server, `container:one-${sink}`, authorization)).length;
    await sleep(1000);
    await find(server, `container:one-${sink}`, before + 3);
    for (const [index, version] of ['one', 'two'].entries()) {
      const found = await search(server, `container:${version}-${sink}`, authorization);
      expect(found.length).toBeGreaterThan(2);
      for (const record of found) {
        expect(record).toMatchObject({
          container: { image: { tag: ['latest'], hash: { all: [digests[index]] } } },
          shiplog: { image: { revision: version } },
        });
      }
    }
    await docker.cli(['rm', '--force', ...started]);
  });
});

test('what shiplog wrote to Elasticsearch is found there by any client, in its data stream', async () => {
  const body = JSON.stringify({ query: { term: { 'host.name': 'build-7' } } });
  const headers = { 'content-type': 'application/json' };
  const url = `${elasticsearch.url}/logs-way-default/_search`;
  const answer = await fetch(url, { method: 'POST', headers, body });
  const { hits }: { hits: { hits: { _index: string; _source: object }[] } } = JSON.parse(await answer.text());
  expect(hits.hits).toHaveLength(1);
  expect(hits.hits[0]?._index).toMatch(/^\.ds-logs-way-default-/);
  expect(hits.hits[0]?._source).toMatchObject({ message: 'from curl', event: { dataset: 'way' } });
});
