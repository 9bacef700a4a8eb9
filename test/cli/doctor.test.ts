import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { shiplog, shiplogProcess } from '../support/command.ts';
import { failure, ScriptedElasticsearch } from '../support/scripted-elasticsearch.ts';
import { freePort, type Server, startServer } from '../support/server.ts';
import { userLine } from '../support/service.ts';

interface Result {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly mend?: string;
}

/** What `shiplog doctor --json` found, by name. */
async function look(
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; ok: boolean; checks: Map<string, Result> }> {
  const { code, stdout } = await shiplog(['doctor', '--json'], env);
  const { ok, checks }: { ok: boolean; checks: Result[] } = JSON.parse(stdout);
  return { code, ok, checks: new Map(checks.map((check) => [check.name, check])) };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'shiplog-doctor-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

const away = { SHIPLOG_URL: 'http://127.0.0.1:9' };

const certificates = resolve(import.meta.dirname, '../support/certificates');

describe('with a server that runs', () => {
  let server: Server;
  let sockets: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    sockets = await mkdtemp(join(tmpdir(), 'shiplog-doctor-'));
    server = await startServer({
      SHIPLOG_STORAGE_DISK_FREE_SPACE_RESERVE: '1MiB',
      SHIPLOG_INGEST_SPOOL_MAX_SIZE: '1MiB',
      SHIPLOG_INGEST_SYSLOG_UNIX: join(sockets, 'syslog'),
      SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: `127.0.0.1:${await freePort()}`,
      SHIPLOG_INGEST_SYSLOG_TLS_CERT: join(certificates, 'server.pem'),
      SHIPLOG_INGEST_SYSLOG_TLS_KEY: join(certificates, 'server.key'),
    });
    env = server.env;
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(sockets, { recursive: true });
  });

  test('all is well: a line is found again that was sent in each way, and nothing is left behind', async () => {
    const before = await readdir(server.data);
    const { code, ok, checks } = await look(env);
    expect([...checks.values()].filter(({ status }) => status === 'failed')).toEqual([]);
    expect([code, ok]).toEqual([0, true]);
    for (const way of ['TCP', 'UDP', 'a socket', 'TLS']) {
      expect(checks.get(`syslog over ${way}`)).toMatchObject({
        status: 'ok',
        found: 'a line was sent and found again',
      });
    }
    for (const name of ['data folder', 'users', 'free space', 'clock', 'images', 'server']) {
      expect(checks.get(name)?.status, name).toBe('ok');
    }
    expect(await readdir(server.data)).toEqual(before);
  });

  test('people read it a line a check', async () => {
    const { code, stdout } = await shiplog(['doctor'], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok {6}data folder +\/.* can be written$/m);
    expect(stdout).toMatch(/^- {7}log store +it is embedded/m);
  });

  test('a line that does not arrive is told, with what may be in its way', async () => {
    const { checks, code } = await look({ ...env, SHIPLOG_INGEST_SYSLOG_TCP: '127.0.0.1:9' });
    expect(code).toBe(1);
    expect(checks.get('syslog over TCP')).toMatchObject({
      status: 'failed',
      found: expect.stringMatching(/cannot be sent: .*ECONNREFUSED/),
      mend: expect.stringContaining('where it listens'),
    });
    expect(checks.get('syslog over UDP')?.status).toBe('ok');
  });
});

test('a server whose clock is another is told', async () => {
  let off = 0;
  const answering = createServer((_, answer) => {
    answer.setHeader('Date', new Date(Date.now() + off).toUTCString()).end('{"status":"ok"}');
  }).listen(0, '127.0.0.1');
  await once(answering, 'listening');
  onTestFinished(() => void answering.close());
  const place = answering.address();
  const url = `http://127.0.0.1:${typeof place === 'object' ? place?.port : ''}`;
  const quiet = { SHIPLOG_INGEST_SYSLOG_TCP: 'off', SHIPLOG_INGEST_SYSLOG_UDP: 'off' };
  const server = async (): Promise<Result | undefined> =>
    (await look({ SHIPLOG_URL: url, SHIPLOG_DATA: await folder(), ...quiet })).checks.get('server');
  expect(await server()).toMatchObject({ status: 'ok' });
  off = 90_000;
  expect(await server()).toMatchObject({
    status: 'failed',
    found: expect.stringMatching(/^its clock is (?:8\d|9\d) s ahead of this machine's$/),
    mend: expect.stringContaining('NTP'),
  });
  off = -90_000;
  expect(await server()).toMatchObject({ found: expect.stringMatching(/ s behind this machine's$/) });
});

test('syslog over TLS that asks for a certificate is not tried, and it says so; each certificate is looked at', async () => {
  const pem = (name: string): string => join(certificates, name);
  await using server = await startServer({
    SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: `127.0.0.1:${await freePort()}`,
    SHIPLOG_INGEST_SYSLOG_TLS_CERT: pem('server.pem'),
    SHIPLOG_INGEST_SYSLOG_TLS_KEY: pem('server.key'),
    SHIPLOG_INGEST_SYSLOG_TLS_CLIENT_CA: pem('ca.pem'),
    SHIPLOG_INGEST_FORWARD_TLS_LISTEN: `127.0.0.1:${await freePort()}`,
    SHIPLOG_INGEST_FORWARD_TLS_CERT: pem('server.pem'),
    SHIPLOG_INGEST_FORWARD_TLS_KEY: pem('server.key'),
  });
  const { checks } = await look(server.env);
  expect(checks.get('syslog over TLS')).toMatchObject({
    status: 'skipped',
    found: expect.stringContaining('client_ca'),
  });
  for (const name of ['certificate of syslog', 'certificate of forward'])
    expect(checks.get(name), name).toMatchObject({ found: expect.stringContaining('valid until') });
});

test('a line that is sent and not taken is told', async () => {
  await using server = await startServer({ SHIPLOG_INGEST_SYSLOG_ALLOW: '10.0.0.0/8' });
  const { checks } = await look({ ...server.env, SHIPLOG_INGEST_SYSLOG_TCP: 'off' });
  expect(checks.get('syslog over UDP')).toMatchObject({
    status: 'failed',
    found: 'a line was sent, and is not found',
    mend: expect.stringContaining('ingest.syslog.allow'),
  });
}, 60_000);

test('without a server the rest is looked at', async () => {
  const { code, ok, checks } = await look({ ...away, SHIPLOG_DATA: await folder() });
  expect([code, ok]).toEqual([1, false]);
  expect(checks.get('server')).toMatchObject({
    status: 'failed',
    found: expect.stringMatching(/is it running \(npm start\)/),
  });
  expect(checks.get('syslog over TCP')).toMatchObject({ status: 'skipped' });
  expect(checks.get('data folder')?.status).toBe('ok');
});

test('what is not there yet is not made', async () => {
  const data = join(await folder(), 'data');
  const { checks } = await look({ ...away, SHIPLOG_DATA: data });
  expect(checks.get('data folder')).toMatchObject({
    status: 'ok',
    found: expect.stringContaining('made at the first start'),
  });
  expect(checks.get('images')).toMatchObject({ status: 'skipped' });
  expect(await readdir(join(data, '..'))).toEqual([]);
});

test('a configuration that cannot be used is what is wrong', async () => {
  const { code, checks } = await look({ SHIPLOG_HTTP_LISTEN: 'x' });
  expect(code).toBe(1);
  expect(checks.get('configuration')).toMatchObject({
    status: 'failed',
    found: expect.stringContaining('http.listen'),
  });
});

test('folders that are another user’s are told, with the command that mends it', async () => {
  const base = await folder();
  const [data, root] = [join(base, 'data'), join(base, 'images')];
  const isRoot = process.getuid?.() === 0;
  for (const path of [data, root, join(root, 'docker')]) await mkdir(path);
  await chmod(base, 0o755);
  for (const path of [join(root, 'docker'), root, data]) await chmod(path, 0o555);
  const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
  const env = { ...away, PATH: process.env['PATH'], SHIPLOG_DATA: data, SHIPLOG_STORAGE_DISK_ROOT: root };
  const { code, stdout } = await shiplogProcess(['doctor'], env, '', user);
  for (const path of [data, root, join(root, 'docker')]) await chmod(path, 0o755);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^FAILED +data folder +.* cannot be written: .*\n +→ give it to the user of the server: chown -R \d+:\d+ /m,
  );
  expect(stdout).toMatch(/^FAILED +images +storage\.disk\.root is .*chown -R/m);
});

describe('users', () => {
  const users = async (data: string, env: NodeJS.ProcessEnv = {}): Promise<Result | undefined> =>
    (await look({ ...away, SHIPLOG_DATA: data, ...env })).checks.get('users');

  test('no users yet is well on the loopback, and elsewhere it is not', async () => {
    const data = await folder();
    expect(await users(data)).toMatchObject({ status: 'ok', found: expect.stringContaining('no users yet') });
    expect(await users(data, { SHIPLOG_HTTP_LISTEN: '0.0.0.0:5000' })).toMatchObject({
      status: 'failed',
      mend: expect.stringContaining('shiplog htpasswd'),
    });
  });

  test('the file is read, and lines that are not taken are named', async () => {
    const data = await folder();
    await writeFile(join(data, 'htpasswd'), userLine('ann', 'pw'));
    expect(await users(data)).toMatchObject({ status: 'ok', found: expect.stringMatching(/has 1 user$/) });
    await writeFile(join(data, 'htpasswd'), `${userLine('ann', 'pw')}bob:$apr1$x\n`);
    expect(await users(data)).toMatchObject({ status: 'failed', found: expect.stringMatching(/: 2$/) });
    await writeFile(join(data, 'htpasswd'), 'bob:$apr1$x\n');
    expect(await users(data)).toMatchObject({
      status: 'failed',
      found: expect.stringContaining('no line with a bcrypt'),
    });
    await rm(join(data, 'htpasswd'));
    await mkdir(join(data, 'htpasswd'));
    expect(await users(data)).toMatchObject({ status: 'failed', mend: expect.stringContaining('chown') });
  });

  test('a file that is gone is told', async () => {
    const data = await folder();
    await mkdir(join(data, 'state'));
    await writeFile(join(data, 'state/htpasswd-seen'), '');
    expect(await users(data)).toMatchObject({ status: 'failed', found: expect.stringContaining('nobody can log in') });
  });
});

test('too little space, and a clock that was set back, are told', async () => {
  const data = await folder();
  await mkdir(join(data, 'spool'));
  const future = new Date(Date.now() + 86_400_000);
  await utimes(join(data, 'spool'), future, future);
  const { checks } = await look({ ...away, SHIPLOG_DATA: data, SHIPLOG_STORAGE_DISK_FREE_SPACE_RESERVE: '1000TiB' });
  expect(checks.get('free space')).toMatchObject({
    status: 'failed',
    found: expect.stringContaining('pushes are refused below'),
    mend: expect.stringContaining('storage.disk.free_space_reserve'),
  });
  expect(checks.get('clock')).toMatchObject({
    status: 'failed',
    found: expect.stringContaining(future.toISOString()),
    mend: expect.stringContaining('NTP'),
  });
});

describe('Elasticsearch', () => {
  const store = async (prepare: (server: ScriptedElasticsearch) => void): Promise<Result | undefined> => {
    await using server = await ScriptedElasticsearch.start();
    prepare(server);
    const env = { SHIPLOG_LOGS_SINK: 'elasticsearch', SHIPLOG_LOGS_ELASTICSEARCH_NODES: server.url };
    return (await look({ ...away, ...env, SHIPLOG_DATA: await folder() })).checks.get('log store');
  };

  test('the clock of a node that is off is told', async () => {
    const nodes = (ahead: number): object => ({
      nodes: { one: { timestamp: Date.now() }, two: { timestamp: Date.now() + ahead } },
    });
    const withClock = (ahead: number): Promise<Result | undefined> =>
      store((server) =>
        server.answer(({ url }) => (url.startsWith('/_nodes/') ? { status: 200, json: nodes(ahead) } : undefined)),
      );
    expect(await withClock(60_000)).toMatchObject({
      status: 'failed',
      found: expect.stringMatching(/its clock is \d+ s ahead of this machine's/),
      mend: expect.stringContaining('NTP'),
    });
    expect(await withClock(0)).toMatchObject({ status: 'ok' });
  });

  test('credentials that may not ask for the clocks are enough', async () => {
    const found = await store((server) =>
      server.answerTo(/^\/_nodes/, failure(403, 'security_exception', 'action is unauthorized')),
    );
    expect(found).toMatchObject({ status: 'ok', found: expect.stringContaining('a record was written') });
  });

  test('its version, its templates and a record that was written are told', async () => {
    let written = '';
    const found = await store((server) =>
      server.answer(({ url, body }) => {
        if (url.includes('_bulk')) written = body;
        return undefined;
      }),
    );
    expect(found).toMatchObject({ status: 'ok', found: expect.stringMatching(/version 9\.\d.*a record was written/) });
    expect(JSON.parse(written.split('\n')[1] ?? '')).toMatchObject({
      message: 'shiplog doctor was here',
      data_stream: { type: 'logs', dataset: 'docker', namespace: 'default' },
    });
  });

  test.each<[what: string, path: RegExp, status: number, found: RegExp]>([
    ['an old version', /^\/$/, 200, /8\.19\.2 is too old/],
    ['wrong credentials', /^\/$/, 401, /401.*Check the user/],
    ['templates that may not be put', /_template|_mapping/, 403, /may not put.*POST \/_security\/api_key/],
    ['records that may not be written', /_bulk/, 403, /403/],
    ['a server that is away', /^\/$/, 503, /takes nothing now/],
  ])('%s is told, with what to do', async (_what, path, status, message) => {
    const old = { version: { number: '8.19.2' } };
    const found = await store((server) =>
      server.answerTo(path, status === 200 ? { status, json: old } : failure(status, 'security_exception', 'no')),
    );
    expect(found?.status).toBe('failed');
    expect(`${found?.found} ${found?.mend}`).toMatch(message);
  });
});
