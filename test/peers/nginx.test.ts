import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { digestOf as sha256 } from '../../storage/digest.ts';
import { random } from '../support/random.ts';
import { conformance, conformanceSuite } from './support/conformance.ts';
import { authorization, type Front, startFront } from './support/front.ts';
import { digestOf, generate, send, told } from './support/generated.ts';
import { longTest } from './support/long.ts';
import { authority, nginxAddress } from './support/nginx.ts';

const patience = { timeout: 20_000, interval: 50 };
const blob = random(4).bytes(100_000);
const digest = sha256(blob);
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

let ca: Buffer;
/** Asks for a path as it stands. */
async function ask(
  base: string,
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: Uint8Array } = {},
): Promise<Answer> {
  const url = new URL(base);
  const options = { host: url.hostname, port: url.port, path, method, agent: false, headers };
  const request = url.protocol === 'https:' ? httpsRequest({ ...options, ca }) : httpRequest(options);
  const answered = once(request, 'response');
  request.end(body);
  const [response] = await answered;
  return { status: response.statusCode, headers: response.headers, body: await buffer(response) };
}

const login = { authorization };

/** Stores the blob, and an image of it. @returns the path of its manifest */
async function fill(base: string): Promise<string> {
  const put = async (bytes: Uint8Array): Promise<void> => {
    const options = { method: 'POST', headers: login, body: bytes };
    expect((await ask(base, `/v2/app/blobs/uploads/?digest=${sha256(bytes)}`, options)).status).toBe(201);
  };
  const config = Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}');
  await put(blob);
  await put(config);
  await put(Buffer.alloc(0));
  const described = (mediaType: string, bytes: Uint8Array): object => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: described('application/vnd.oci.image.config.v1+json', config),
      layers: [described('application/vnd.oci.image.layer.v1.tar', blob)],
    }),
  );
  const headers = { ...login, 'content-type': manifestType };
  const path = '/v2/app/manifests/v1';
  expect((await ask(base, path, { method: 'PUT', headers, body: manifest })).status).toBe(201);
  return path;
}

beforeAll(async () => {
  ca = await readFile(authority);
  await conformanceSuite();
}, 600_000);

describe.each([true, false])('where nginx reads the images’ folder itself: %s', (accel) => {
  let front: Front;
  let [direct, through] = ['', ''];
  beforeAll(async () => {
    front = await startFront({ accel });
    direct = front.servers[0].url;
    through = `https://${front.nginx.host}`;
    await fill(direct);
  });
  afterAll(() => front[Symbol.asyncDispose]());

  const path = `/v2/app/blobs/${digest}`;
  test.each<[what: string, path: string, method: string, headers: Record<string, string>, status: number]>([
    ['a blob', path, 'GET', login, 200],
    ['an empty blob', `/v2/app/blobs/${sha256(Buffer.alloc(0))}`, 'GET', login, 200],
    ['the head of a blob', path, 'HEAD', login, 200],
    ['a range', path, 'GET', { ...login, range: 'bytes=10-99' }, 206],
    ['a range to the end', path, 'GET', { ...login, range: 'bytes=99000-' }, 206],
    ['a range from the end', path, 'GET', { ...login, range: 'bytes=-5' }, 206],
    ['a range past the end', path, 'GET', { ...login, range: 'bytes=5-999999' }, 206],
    ['a range that cannot be had', path, 'GET', { ...login, range: 'bytes=100000-' }, 416],
    ['what is no range', path, 'GET', { ...login, range: 'bytes=a-b' }, 200],
    ['a range of the same blob', path, 'GET', { ...login, range: 'bytes=1-2', 'if-range': `"${digest}"` }, 206],
    ['a range of another blob', path, 'GET', { ...login, range: 'bytes=1-2', 'if-range': '"other"' }, 200],
    ['what the client has', path, 'GET', { ...login, 'if-none-match': `"${digest}"` }, 304],
    ['what the client has not', path, 'GET', { ...login, 'if-none-match': '"other"' }, 200],
    ['what was changed', path, 'GET', { ...login, 'if-modified-since': 'Tue, 24 Nov 2037 08:00:00 GMT' }, 200],
    ['an unknown blob', `/v2/app/blobs/${sha256(Buffer.from('no'))}`, 'GET', login, 404],
    ['a blob of another repository', `/v2/other/blobs/${digest}`, 'GET', login, 404],
    ['a blob without a log-in', path, 'GET', {}, 401],
    ['a manifest', '/v2/app/manifests/v1', 'GET', { ...login, accept: manifestType }, 200],
    ['the head of a manifest', '/v2/app/manifests/v1', 'HEAD', { ...login, accept: manifestType }, 200],
    ['an unknown manifest', '/v2/app/manifests/v2', 'GET', login, 404],
    ['the version', '/v2/', 'GET', {}, 401],
    ['a bad digest', '/v2/app/blobs/sha256:..%2f..%2fdata', 'GET', login, 400],
    ['tags', '/v2/app/tags/list', 'GET', login, 200],
  ])('%s has the header and the bytes of a direct answer', async (_what, path, method, headers, status) => {
    const [one, other] = [
      await ask(direct, path, { method, headers }),
      await ask(through, path, { method, headers: { ...headers, 'x-shiplog-accel': '1' } }),
    ];
    expect([one.status, other.status]).toEqual([status, status]);
    // Of the connection or the server, not of the answer.
    const own = ['connection', 'keep-alive', 'transfer-encoding', 'date', 'server'];
    const essential = (all: IncomingHttpHeaders): object =>
      Object.fromEntries(Object.entries(all).filter(([name]) => !own.includes(name)));
    expect(essential(other.headers)).toEqual(essential(one.headers));
    expect(other.body.equals(one.body)).toBe(true);
  });

  test('shiplog itself sends no byte of a pull exactly where nginx reads the folder', async () => {
    const seen = (await front.nginx.requests()).length;
    await ask(through, path, { headers: login });
    await ask(through, path, { headers: { ...login, range: 'bytes=0-9,20-29' } });
    const requests = await vi.waitFor(async () => {
      const all = (await front.nginx.requests()).slice(seen);
      expect(all).toHaveLength(2);
      return all;
    }, patience);
    expect(requests.map(({ path, sent }) => [path, sent > 200])).toEqual([
      [path, true],
      [path, true],
    ]);
    expect(requests.map(({ received }) => received === 0)).toEqual([accel, false]);
  });

  test('nobody can ask for the folder himself', async () => {
    const file = `sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`;
    for (const way of ['/_blobs/', '/v2/..%2f_blobs/', '//_blobs/', '/v2/a/blobs/../../../_blobs/']) {
      expect((await ask(through, way + file, { headers: login })).status, way).toBe(404);
    }
  });

  const runs = [
    { version: '1.1', tls: true },
    { version: 'dev', tls: false },
  ] as const;
  test.each(runs)(
    'the conformance suite passes: version $version, TLS: $tls',
    async ({ version, tls }) => {
      await using fresh = await startFront({ accel });
      const { host, plainHost } = fresh.nginx;
      const { failures, ...counts } = await conformance(tls ? host : plainHost, version, 'htpasswd', tls);
      expect(failures).toEqual([]);
      expect(counts).toMatchObject({ failed: 0, skipped: 0, disabled: 0 });
      expect(counts.passed).toBeGreaterThan(800);
      console.log(`conformance ${version}, accel ${accel}, TLS ${tls}: ${counts.passed} passed`);
    },
    600_000,
  );

  const largeLayer = async (size: number): Promise<void> => {
    const base = `http://${front.nginx.plainHost}`;
    const { digest, bytes } = await generate(size, accel ? 11 : 12);
    const { location } = await told(`${base}/v2/large/blobs/uploads/`, 'POST', login);
    expect(location).not.toBe('');
    const patched = await told(new URL(location, base).href, 'PATCH', login, bytes());
    expect(patched.status).toBe(202);
    const put = new URL(patched.location, base);
    put.searchParams.set('digest', digest);
    expect((await told(put.href, 'PUT', { ...login, 'content-length': 0 })).status).toBe(201);
    const answer = await send(`${base}/v2/large/blobs/${digest}`, 'GET', login);
    expect(answer.headers['content-length']).toBe(String(size));
    expect(await digestOf(answer)).toBe(digest);
    await vi.waitFor(async () => {
      const pull = (await front.nginx.requests()).find(({ path }) => path === `/v2/large/blobs/${digest}`);
      expect(pull).toMatchObject({ sent: size, received: accel ? 0 : size });
    }, patience);
    expect(await front.nginx.errors()).not.toContain('buffered to a temporary file');
  };
  test('a layer of 64 MB goes in and out, and nothing of it is put on nginx’s disk', () => largeLayer(64_000_000));
  longTest(`a layer of 1 GB goes in and out through nginx, accel ${accel}`, () => largeLayer(1_000_000_000));
});

describe('what nginx does besides', () => {
  let front: Front;
  let through = '';
  beforeAll(async () => {
    front = await startFront({ accel: false });
    through = `https://${front.nginx.host}`;
    await fill(front.servers[0].url);
  });
  afterAll(() => front[Symbol.asyncDispose]());

  test('what a client says of itself is not passed on', async () => {
    const forged = {
      'x-forwarded-for': '10.6.6.6',
      'x-forwarded-proto': 'ftp',
      'x-forwarded-host': 'forged.corp',
      forwarded: 'for=10.6.6.6;proto=ftp;host=forged.corp',
      'x-shiplog-accel': '1',
    };
    const [server] = front.servers;
    const path = `/v2/app/blobs/${digest}`;
    const [proxied, straight] = [
      await ask(through, path, { headers: { ...login, ...forged } }),
      await ask(server.url, path, { headers: { ...login, ...forged } }),
    ];
    for (const { body, headers } of [proxied, straight]) {
      expect([headers['x-accel-redirect'], body.equals(blob)]).toEqual([undefined, true]);
    }
    await ask(through, '/forged', { headers: { ...login, ...forged } });
    await ask(server.url, '/forged', { headers: { ...login, ...forged } });
    await vi.waitFor(() => {
      const peers = server
        .output()
        .split('\n')
        .filter((line) => line.includes('"/forged"'))
        .map((line) => JSON.parse(line).peer);
      expect(peers).toEqual(['127.0.0.1', '127.0.0.1']);
    }, patience);
    expect(server.output()).not.toContain(nginxAddress);
  });

  test('TLS 1.2 and 1.3 are spoken, and nothing older; HTTP/2 too', async () => {
    const [host = '', port] = front.nginx.host.split(':');
    const spoken = async (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string> => {
      const range = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' };
      const socket = connectTls({ host, port: Number(port), ca, ALPNProtocols: ['h2'], ...range });
      try {
        await once(socket, 'secureConnect');
        return `${socket.getProtocol()} ${String(socket.alpnProtocol)}`;
      } catch {
        return 'refused';
      } finally {
        socket.destroy();
      }
    };
    expect([await spoken('TLSv1.1'), await spoken('TLSv1.2'), await spoken('TLSv1.3')]).toEqual([
      'refused',
      'TLSv1.2 h2',
      'TLSv1.3 h2',
    ]);
    const session = connectHttp2(through, { ca });
    try {
      const stream = session.request({ ':path': `/v2/app/blobs/${digest}`, ...login });
      expect((await buffer(stream)).equals(blob)).toBe(true);
    } finally {
      session.destroy();
    }
  });

  test('a manifest that is too large is refused as shiplog refuses it', async () => {
    const call = { method: 'PUT', headers: { ...login, 'content-type': manifestType }, body: Buffer.alloc(4_194_305) };
    const [direct, proxied] = [
      await ask(front.servers[0].url, '/v2/app/manifests/v1', { ...call, body: call.body }),
      await ask(`http://${front.nginx.plainHost}`, '/v2/app/manifests/v1', call),
    ];
    expect(proxied.status).toBe(413);
    expect([proxied.status, JSON.parse(String(proxied.body))]).toEqual([
      direct.status,
      JSON.parse(String(direct.body)),
    ]);
  });

  test('a line is in the tail at once', async () => {
    const answer = await send(`http://${front.nginx.plainHost}/api/logs/tail`, 'GET', login);
    let text = '';
    answer.on('data', (chunk) => (text += String(chunk)));
    const body = Buffer.from('{"message":"by nginx"}');
    const headers = { ...login, 'content-type': 'application/json' };
    expect((await ask(through, '/logs', { method: 'POST', headers, body })).status).toBe(200);
    await vi.waitFor(() => expect(text).toContain('by nginx'), patience);
    answer.destroy();
  });
});
