import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { certificateChecks } from '../../src/doctor/certificates.ts';
import { run } from '../../src/doctor/finding.ts';
import { type HttpServer, type HttpServerOptions, listenHttp } from '../../src/http/server.ts';
import { tlsFilesOf } from '../../src/http/tls.ts';
import { shiplog } from '../support/command.ts';
import { quiet } from '../support/log.ts';
import { startTestService, type TestService, userLine } from '../support/service.ts';

const certificates = resolve(import.meta.dirname, '../support/certificates');
const files = { cert: join(certificates, 'server.pem'), key: join(certificates, 'server.key') };
const caFile = join(certificates, 'ca.pem');

let folder: string;
let ca: Buffer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shiplog-https-'));
  ca = await readFile(caFile);
});
afterAll(() => rm(folder, { recursive: true }));

function listen(options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  return listenHttp((_, response) => void response.end('answered'), {
    listen: { host: '127.0.0.1', port: 0 },
    idleTimeout: 5000,
    shutdownGrace: 60_000,
    tls: files,
    log: quiet,
    ...options,
  });
}

/** A connection that is secured; what becomes of it later is not told. */
async function secure({ address }: HttpServer, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ ...address, ca, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

const nameOf = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.CN;

async function use(name: string): Promise<typeof files> {
  const used = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  await copyFile(join(certificates, `${name}.pem`), used.cert);
  await copyFile(join(certificates, `${name}.key`), used.key);
  return used;
}

const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

describe('connections', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken', async (version) => {
    await using server = await listen();
    const socket = await secure(server, { minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    socket.write(get);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*answered/);
  });

  test('older versions are refused, and HTTP without TLS gets no answer', async () => {
    await using server = await listen();
    const old = secure(server, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await expect(old).rejects.toThrow(/alert protocol version/);
    const plain = connectTcp(server.address.port, '127.0.0.1');
    plain.on('error', () => undefined);
    plain.write(get);
    expect(await text(plain).catch(() => '')).not.toContain('answered');
  });

  test('the end waits neither for an idle connection nor for one amid its handshake', async () => {
    await using server = await listen({ handshakeTimeout: 3_600_000, shutdownGrace: 3_600_000 });
    const idle = await secure(server);
    const half = connectTcp(server.address.port, '127.0.0.1');
    half.on('error', () => undefined);
    const ended = Promise.all([once(idle, 'close'), once(half, 'close')]);
    await once(half, 'connect');
    // A round trip of another one: that the server knows of it by now.
    (await secure(server)).destroy();
    await server[Symbol.asyncDispose]();
    await ended;
  });

  test('the end waits for an answer that is under way', async () => {
    const asked = Promise.withResolvers<void>();
    const server = await listenHttp(
      (_, response) => {
        asked.resolve();
        void sleep(100).then(() => response.end('late'));
      },
      { listen: { host: '127.0.0.1', port: 0 }, idleTimeout: 5000, shutdownGrace: 60_000, tls: files, log: quiet },
    );
    const socket = await secure(server);
    const answer = text(socket);
    socket.write(get);
    await asked.promise;
    await server[Symbol.asyncDispose]();
    expect(await answer).toMatch(/Connection: close\r\n[^]*late/);
  });
});

describe('a certificate that is replaced', () => {
  test('is in use for new connections, and those that are there go on', async () => {
    const info = vi.fn();
    await using server = await listen({ tls: await use('server'), log: { ...quiet, info } });
    const old = await secure(server);
    expect(nameOf(old)).toBe('server');
    await use('renewed');
    await server.reload();
    expect(nameOf(await secure(server))).toBe('renewed');
    expect(info.mock.calls).toMatchObject([[{ listener: 'http' }, 'a new certificate is in use']]);
    old.write(get);
    expect(String((await once(old, 'data'))[0])).toContain('answered');
  });

  test('and cannot be used leaves the old one in use, and is told once', async () => {
    const error = vi.fn();
    const used = await use('server');
    await using server = await listen({ tls: used, log: { ...quiet, error } });
    await writeFile(used.key, 'no key');
    await server.reload();
    await server.reload();
    expect(error.mock.calls).toEqual([
      [{ listener: 'http', reason: expect.stringContaining(used.key) }, expect.stringContaining('the old one stays')],
    ]);
    expect(nameOf(await secure(server))).toBe('server');
  });
});

describe('the configuration', () => {
  test('names the file that cannot be used, by its key', async () => {
    const start = (env: Record<string, string>): Promise<TestService> =>
      startTestService({ env: { SHIPLOG_HTTP_TLS_CERT: files.cert, SHIPLOG_HTTP_TLS_KEY: files.key, ...env } });
    await expect(start({ SHIPLOG_HTTP_TLS_CERT: '/none' })).rejects.toThrow(/^http\.tls\.cert: \/none cannot be read/);
    const foreign = join(certificates, 'renewed.key');
    await expect(start({ SHIPLOG_HTTP_TLS_KEY: foreign })).rejects.toThrow(`http.tls.key: ${foreign} cannot be used`);
  });

  test.each(['cert', 'key'])('with %s alone is no configuration', (part) => {
    const [given, missing] = part === 'cert' ? ['cert', 'key'] : ['key', 'cert'];
    expect(() => loadConfig({ env: { [`SHIPLOG_HTTP_TLS_${part.toUpperCase()}`]: '/a' } })).toThrow(
      `http.tls.${missing} ($SHIPLOG_HTTP_TLS_${missing?.toUpperCase()}): http.tls.${given} is given, so this is needed too`,
    );
  });

  test('asks for both files or none', () => {
    expect(tlsFilesOf({})).toBeUndefined();
    expect(tlsFilesOf({ cert: 'a' })).toBeUndefined();
    expect(tlsFilesOf(files)).toEqual(files);
  });
});

describe('a service over TLS', () => {
  let service: TestService;
  let env: Record<string, string>;
  beforeAll(async () => {
    const tls = await use('server');
    service = await startTestService({
      users: userLine('ci', 'right'),
      env: {
        SHIPLOG_HTTP_TLS_CERT: tls.cert,
        SHIPLOG_HTTP_TLS_KEY: tls.key,
        SHIPLOG_AUTH_RULES: '[{ repositories: public, users: [anonymous], actions: [pull] }]',
      },
    });
    const { data, port } = service;
    env = {
      SHIPLOG_DATA: data,
      SHIPLOG_HTTP_LISTEN: `127.0.0.1:${port}`,
      SHIPLOG_HTTP_TLS_CERT: tls.cert,
      SHIPLOG_HTTP_TLS_KEY: tls.key,
    };
  });
  afterAll(() => service[Symbol.asyncDispose]());

  test('leads to its tokens by https', async () => {
    const asking = request({ port: service.port, host: '127.0.0.1', path: '/v2/', ca, agent: false }).end();
    const [answer] = await once(asking, 'response');
    answer.resume();
    expect(answer.headers['www-authenticate']).toMatch(`Bearer realm="https://127.0.0.1:${service.port}/token"`);
  });

  test('is known to the command line of its machine by its own certificate, for whatever names that is', async () => {
    expect(await shiplog(['ls'], env)).toMatchObject({ code: 0 });
    expect(await shiplog(['health'], env)).toMatchObject({ code: 0, stdout: '{"status":"ok"}\n' });
    const elsewhere = { ...env, SHIPLOG_HTTP_LISTEN: `127.0.0.2:${service.port}` };
    const { stderr } = await shiplog(['ls'], elsewhere);
    // It asks there, for which the certificate is not: what fails is that nothing listens.
    expect(stderr).toMatch(/no shiplog answers at https:\/\/127\.0\.0\.2:\d+ \(.*ECONNREFUSED/);
  });

  test('is not taken for another that shows some certificate', async () => {
    const { code, stderr } = await shiplog(['ls'], {
      ...env,
      SHIPLOG_HTTP_TLS_CERT: join(certificates, 'renewed.pem'),
    });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/no shiplog answers at https.*\(.*certificate/)]);
  });

  test('is asked under a URL by who trusts its authority', async () => {
    const url = `https://localhost:${service.port}`;
    const outside = { SHIPLOG_DATA: '/nowhere', SHIPLOG_USER: 'ci:right', SHIPLOG_URL: url };
    expect(await shiplog(['ls', '--ca', caFile], outside)).toMatchObject({ code: 0 });
    const untrusted = await shiplog(['ls'], outside);
    expect(untrusted).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/unable to verify the first certificate/),
    });
    const wrong = await shiplog(['ls', '--ca', '/none'], outside);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/^shiplog: --ca cannot be read: .*\/none/) });
  });
});

describe('doctor', () => {
  const day = 86_400_000;
  const look = async (env: Record<string, string>, now?: number): Promise<unknown> => {
    vi.useFakeTimers({ toFake: ['Date'], ...(now !== undefined && { now }) });
    onTestFinished(() => void vi.useRealTimers());
    return Promise.all(certificateChecks(loadConfig({ env })).map(run));
  };
  const env = { SHIPLOG_HTTP_TLS_CERT: files.cert, SHIPLOG_HTTP_TLS_KEY: files.key };
  const name = 'certificate of HTTPS';

  test.each([
    ['well before its end', -15 * day, 'ok', /server\.pem is valid until 2\d{3}-/],
    ['two weeks before its end', -13 * day, 'failed', /server\.pem is valid only until 2\d{3}-/],
    ['after its end', 1, 'failed', /server\.pem was valid until 2\d{3}-/],
  ])('says how long a certificate is valid: %s', async (_, offset, status, found) => {
    const { validToDate } = new X509Certificate(await readFile(files.cert));
    expect(await look(env, validToDate.getTime() + offset)).toMatchObject([
      { name, status, found: expect.stringMatching(found) },
    ]);
  });

  test('says that a certificate is not valid yet, or cannot be used, and looks at that of syslog too', async () => {
    const early = await look(env, Date.UTC(2000, 0, 1));
    expect(early).toMatchObject([{ name, status: 'failed', found: expect.stringMatching(/valid only from 2\d{3}-/) }]);
    const syslog = {
      SHIPLOG_INGEST_SYSLOG_TLS_LISTEN: '127.0.0.1:6514',
      SHIPLOG_INGEST_SYSLOG_TLS_CERT: files.cert,
      SHIPLOG_INGEST_SYSLOG_TLS_KEY: join(certificates, 'renewed.key'),
    };
    expect(await look(syslog)).toMatchObject([
      { name: 'certificate of syslog', status: 'failed', found: expect.stringMatching(/renewed\.key cannot be used/) },
    ]);
    expect(await look({})).toEqual([]);
  });
});
