import { once } from 'node:events';
import { chmod, chown, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { shiplogProcess, spawnShiplog } from '../support/command.ts';
import { codeOf, send } from '../support/service.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const anywhere = {
  SHIPLOG_WORKERS: '2',
  SHIPLOG_HTTP_LISTEN: '127.0.0.1:0',
  SHIPLOG_INGEST_SYSLOG_TCP: '127.0.0.1:0',
  SHIPLOG_INGEST_SYSLOG_UDP: 'off',
};

test('it says where it listens, takes requests and logs, and ends at SIGTERM with 0', async () => {
  await using server = spawnShiplog(['serve'], { ...anywhere, SHIPLOG_DATA: join(folder, 'one') });
  const started = await server.logged('started');
  expect(started).toMatchObject({ 'syslog udp': 'off', logs: 'embedded store', data: join(folder, 'one') });
  expect(started['users']).toMatch(/npx shiplog htpasswd NAME/);
  const port = Number(new URL(String(started['http'])).port);
  const body = '{"message":"kept","host":"h"}';
  const posted = await send(port, '/logs', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  expect(posted.text).toBe('{"accepted":1}');
  expect((await send(port, '/health/ready')).status).toBe(200);
  expect(codeOf(await send(port, '/v2/none/manifests/latest'))).toBe('MANIFEST_UNKNOWN');
  for (let found = ''; !found.includes('"message":"kept"');) found = (await send(port, '/api/logs')).text;
  expect(await server.end('SIGTERM')).toEqual([0, null]);
  expect(await server.logged('ended')).toBeDefined();
});

test('a second signal ends it at once', async () => {
  await using server = spawnShiplog([], {
    ...anywhere,
    SHIPLOG_DATA: join(folder, 'two'),
    SHIPLOG_HTTP_SHUTDOWN_GRACE: '1h',
  });
  const port = Number(new URL(String((await server.logged('started'))['http'])).port);
  // A request that does not end keeps the server.
  const half = send(port, '/logs', {
    method: 'POST',
    body: '{',
    headers: { 'content-type': 'application/json', 'content-length': '100' },
  });
  const cut = expect(half).rejects.toThrow();
  await expect.poll(async () => (await send(port, '/health/live')).status).toBe(200);
  const end = server.end('SIGTERM');
  await server.logged('ending; a second signal ends it at once');
  // What comes within a second may be the first one, passed on by npm.
  const again = setInterval(() => server.kill('SIGINT'), 100);
  onTestFinished(() => clearInterval(again));
  expect(await end).toEqual([null, 'SIGINT']);
  await cut;
});

test.each(['SHIPLOG_HTTP_LISTEN', 'SHIPLOG_INGEST_SYSLOG_TCP'])(
  'an address in use is told by its key: %s',
  async (name) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const taken = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const outcome = await shiplogProcess(['serve'], { ...anywhere, [name]: taken, SHIPLOG_DATA: join(folder, name) });
    other.close();
    expect(outcome).toEqual({
      code: 1,
      stdout: outcome.stdout,
      stderr: `shiplog: ${name.slice(8).toLowerCase().replaceAll('_', '.')} is ${taken}: another process listens there already\n`,
    });
  },
);

const replaced = 'workers were replaced: users, certificates and the configuration are read again';
const waits = { timeout: 20_000, interval: 50 };

const certificates = resolve(import.meta.dirname, '../support/certificates');

test.each(['syslog', 'forward'])('a certificate of %s that cannot be used is told by its key', async (section) => {
  const outcome = await shiplogProcess(['serve'], {
    ...anywhere,
    SHIPLOG_DATA: join(folder, 'certificate'),
    [`SHIPLOG_INGEST_${section.toUpperCase()}_TLS_LISTEN`]: '127.0.0.1:0',
    [`SHIPLOG_INGEST_${section.toUpperCase()}_TLS_CERT`]: join(certificates, 'server.pem'),
    [`SHIPLOG_INGEST_${section.toUpperCase()}_TLS_KEY`]: join(certificates, 'renewed.key'),
  });
  expect(outcome).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      new RegExp(`^shiplog: ingest\\.${section}\\.tls\\.key: .*renewed\\.key cannot be used: .+\\n$`),
    ),
  });
});

test('at SIGHUP it reads its certificate again, and goes on', async () => {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const use = async (name: string): Promise<void> => {
    await copyFile(join(certificates, `${name}.pem`), cert);
    await copyFile(join(certificates, `${name}.key`), key);
  };
  await use('server');
  await using server = spawnShiplog(['serve'], {
    ...anywhere,
    SHIPLOG_DATA: join(folder, 'hang-up'),
    SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: '127.0.0.1:0',
    SHIPLOG_INGEST_SYSLOG_TLS_CERT: cert,
    SHIPLOG_INGEST_SYSLOG_TLS_KEY: key,
  });
  const [host, port] = String((await server.logged('started'))['syslog tls']).split(':');
  const ca = await readFile(join(certificates, 'ca.pem'));
  const name = async (): Promise<unknown> => {
    const socket = connect({ host: host ?? '', port: Number(port), ca });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN;
  };
  expect(await name()).toBe('server');
  await use('renewed');
  server.kill('SIGHUP');
  await server.logged(replaced);
  expect(await name()).toBe('renewed');
  expect(await server.end('SIGTERM')).toEqual([0, null]);
}, 120_000);

test('at SIGHUP it goes on with the configuration of that moment, if it can be used', async () => {
  const file = join(folder, 'changing.yml');
  const data = join(folder, 'changing');
  await writeFile(file, `data: ${data}\n`);
  const { SHIPLOG_HTTP_LISTEN, SHIPLOG_INGEST_SYSLOG_UDP } = anywhere;
  const env = { SHIPLOG_HTTP_LISTEN, SHIPLOG_INGEST_SYSLOG_UDP, SHIPLOG_CONFIG: file };
  await using server = spawnShiplog(['serve'], env);
  const port = Number(new URL(String((await server.logged('started'))['http'])).port);
  const post = async (message: string): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ message, host: 'h' });
    expect((await send(port, '/logs', { method: 'POST', body, headers })).text).toBe('{"accepted":1}');
  };
  const clusters = async (): Promise<string[]> => {
    const { text } = await send(port, '/api/logs');
    return [...text.matchAll(/"cluster":\{"name":"(\w+)"\}/g)].map(([, name = '']) => name);
  };
  await post('before');
  await vi.waitFor(async () => expect(await clusters()).toEqual(['default']), waits);

  await writeFile(file, `data: ${data}\ningest: { tags: { cluster: two } }\n`);
  server.kill('SIGHUP');
  await server.logged(replaced);
  await post('after');
  await vi.waitFor(async () => expect(await clusters()).toEqual(['two', 'default']), waits);

  await writeFile(file, `data: ${data}\ningest: { tags: { clutter: two } }\n`);
  server.kill('SIGHUP');
  const { problems } = await server.logged('the configuration can no longer be used; the one in force stays so');
  expect(String(problems)).toContain('ingest.tags.clutter');

  await writeFile(file, `data: ${data}/other\n`);
  server.kill('SIGHUP');
  await server.logged('data cannot change while it runs; start it anew for that');

  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const taken = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  await writeFile(file, `data: ${data}\ningest: { syslog: { tcp: '${taken}' } }\n`);
  server.kill('SIGHUP');
  const { reason } = await server.logged('workers with the new configuration cannot start; the old ones go on');
  expect(reason).toBe(`ingest.syslog.tcp is ${taken}: another process listens there already`);
  other.close();
  await post('still');
  await vi.waitFor(async () => expect(await clusters()).toEqual(['two', 'two', 'default']), waits);
  expect(await server.end('SIGTERM')).toEqual([0, null]);
}, 120_000);

test('images that are not this user’s to change are told of at the start, with the command that mends it', async () => {
  const data = join(folder, 'foreign');
  const root = join(folder, 'images');
  const blobs = join(root, 'docker/registry/v2/blobs');
  await mkdir(blobs, { recursive: true });
  await mkdir(data);
  // As root, who may do everything, the test makes another user start it.
  const isRoot = process.getuid?.() === 0;
  const [uid, gid] = isRoot ? [65_534, 65_534] : [process.getuid?.(), process.getgid?.()];
  const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
  if (isRoot) {
    await chmod(folder, 0o755);
    await chown(data, 65_534, 65_534);
  }
  for (const path of [blobs, root]) await chmod(path, 0o555);
  const env = { ...anywhere, SHIPLOG_DATA: data, SHIPLOG_STORAGE_DISK_ROOT: root };
  const { code, stderr } = await shiplogProcess(['serve'], env, '', user);
  for (const path of [root, blobs]) await chmod(path, 0o755);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`chown -R ${uid}:${gid} ${root}\n`)]);
  expect(stderr).toMatch(/^shiplog: storage\.disk\.root is /);
});

test('a root that is the inside of a tree is refused, and the top is named', async () => {
  const data = await mkdtemp(join(tmpdir(), 'shiplog-test-'));
  onTestFinished(() => rm(data, { recursive: true }));
  const inside = `${data}/registry/docker/registry/v2`;
  for (const folder of ['blobs/sha256', 'repositories']) await mkdir(`${inside}/${folder}`, { recursive: true });
  const env = { ...anywhere, SHIPLOG_DATA: data, SHIPLOG_STORAGE_DISK_ROOT: inside };
  const { code, stderr } = await shiplogProcess(['serve'], env);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`give its top: ${data}/registry\n`)]);
});
