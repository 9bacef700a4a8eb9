import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { random } from '../support/random.ts';
import { dial } from '../support/raw-http.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const type = 'application/vnd.oci.image.manifest.v1+json';
const uploads = '/registry/docker/registry/v2/_shiplog/uploads/';

let registry: Registry;
beforeEach(async () => {
  registry = await startRegistry();
});
afterEach(() => registry[Symbol.asyncDispose]());

/** A request, as it goes over the wire. */
function request(method: string, target: string, body = '', way: 'length' | 'chunked' = 'length'): string {
  const kind = target.includes('/manifests/') ? `Content-Type: ${type}\r\n` : '';
  const head = `${method} ${target} HTTP/1.1\r\nHost: a\r\n${kind}`;
  if (way === 'length') return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  const chunks = body.match(/.{1,3}/gs) ?? [];
  const framed = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  return `${head}Transfer-Encoding: chunked\r\n\r\n${framed}0\r\n\r\n`;
}

/** Sends the first bytes of a request and goes away: in order, or by a reset. */
async function breakOff(text: string, how: 'end' | 'reset'): Promise<void> {
  using line = await dial(registry.port);
  if (text !== '') await new Promise((resolve) => line.socket.write(text, resolve));
  if (how === 'end') line.socket.end();
  else line.socket.resetAndDestroy();
  await line.closed;
}

/** The upload sessions in the tree, as their files tell. */
function sessions(): { id: string; released: boolean }[] {
  const files = [...registry.disk.files()].filter(([path]) => path.startsWith(uploads));
  return files
    .filter(([path]) => !path.includes('.data.'))
    .map(([path, bytes]) => {
      const last = String(bytes).trimEnd().split('\n').at(-1) ?? '';
      return { id: path.split('/').at(-1) ?? '', released: 'generation' in JSON.parse(last) };
    });
}

/** Waits until the server has dealt with all that broke off: no file is open, and no lease is held. */
async function settled(): Promise<void> {
  // Whoever connects later is heard later.
  await registry.call('GET', '/v2/');
  await vi.waitFor(() => {
    expect(registry.disk.opened).toEqual([]);
    expect(sessions().filter(({ released }) => !released)).toEqual([]);
  }, 20_000);
}

/** Files that are neither blobs nor links. */
function leftovers(): string[] {
  return [...registry.disk.files().keys()].filter((path) => /_shiplog\/(?:tmp|uploads)\//.test(path));
}

async function expectNothingLeft(): Promise<void> {
  await settled();
  await vi.waitFor(() => expect(leftovers()).toEqual([]), 20_000);
  expect(registry.logged.filter(({ level }) => Number(level) > 30)).toEqual([]);
  expect((await registry.call('GET', '/v2/')).status).toBe(200);
}

async function open(): Promise<{ location: string; id: string }> {
  const { headers } = await registry.call('POST', '/v2/app/blobs/uploads/');
  return { location: headers.location ?? '', id: String(headers['docker-upload-uuid']) };
}

/** Bytes that a session holds; undefined: there is none. */
async function held(id: string): Promise<number | undefined> {
  return (await registry.store.uploads.status('app', id).catch(() => undefined))?.offset;
}

/** Every place at which a request can break off, by bytes; `body`: only from the end of its head on. */
function cuts(text: string, part: 'all' | 'body' = 'all'): number[] {
  const first = part === 'all' ? 0 : text.indexOf('\r\n\r\n');
  return Array.from({ length: text.length + 1 - first }, (_, place) => first + place);
}

describe.each(['end', 'reset'] as const)('a client that goes away (%s) at any byte', (how) => {
  test('of the POST that opens a session leaves a session at most, and that ends', async () => {
    const text = request('POST', '/v2/app/blobs/uploads/');
    for (const cut of cuts(text)) await breakOff(text.slice(0, cut), how);
    await settled();
    // The whole request may have been answered.
    expect(sessions().length).toBeLessThanOrEqual(1);
    await registry.store.uploads.expire(0);
    await expectNothingLeft();
  });

  test.each(['length', 'chunked'] as const)('of a POST with the whole blob (%s) leaves nothing', async (way) => {
    const [body, tried] = ['0123456789', new Set<string>()];
    const whole = request('POST', `/v2/app/blobs/uploads/?digest=${digestOf(Buffer.from(body))}`, body, way);
    for (const cut of cuts(whole, way === 'length' ? 'all' : 'body')) {
      // Each with another content: else the last one would hide what an earlier one left.
      const own = String(cut).padStart(body.length, '-');
      const digest = digestOf(Buffer.from(own));
      tried.add(digest);
      await breakOff(request('POST', `/v2/app/blobs/uploads/?digest=${digest}`, own, way).slice(0, cut), how);
    }
    await expectNothingLeft();
    const found = await Promise.all([...tried].map((digest) => registry.call('HEAD', `/v2/app/blobs/${digest}`)));
    expect(found.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
  });

  test.each(['length', 'chunked'] as const)('of a PATCH (%s) leaves a session that goes on', async (way) => {
    const body = '0123456789';
    const digest = digestOf(Buffer.from(body));
    const ids: { id: string; cut: number }[] = [];
    const whole = request('PATCH', (await open()).location, body, way);
    for (const cut of cuts(whole, 'body')) {
      const { location, id } = await open();
      ids.push({ id, cut });
      await breakOff(request('PATCH', location, body, way).slice(0, cut), how);
    }
    await settled();
    for (const { id, cut } of ids) {
      const offset = (await held(id)) ?? -1;
      const came = Math.max(0, cut - (whole.length - body.length));
      // A reset may overtake what was sent before it.
      if (way === 'length' && how === 'end') expect(offset).toBe(came);
      else expect(offset).toBeGreaterThanOrEqual(0);
      const target = `/v2/app/blobs/uploads/${id}?digest=${digest}`;
      const rest = body.slice(offset);
      const headers = rest === '' ? {} : { 'content-range': `${offset}-${body.length - 1}` };
      expect((await registry.call('PUT', target, { headers, body: rest })).status).toBe(201);
    }
    expect(String((await registry.call('GET', `/v2/app/blobs/${digest}`)).body)).toBe(body);
    await registry.store.uploads.expire(0);
    await expectNothingLeft();
  });

  test.each(['length', 'chunked'] as const)('of the last PUT (%s) leaves the session, or the blob', async (way) => {
    const ids: { id: string; digest: string }[] = [];
    const whole = request('PUT', `${(await open()).location}?digest=${'-'.repeat(71)}`, '0123456789', way);
    for (const cut of cuts(whole, how === 'end' && way === 'length' ? 'all' : 'body')) {
      const { location, id } = await open();
      await registry.call('PATCH', location, { body: `${cut}: ` });
      const body = '0123456789';
      const digest = digestOf(Buffer.from(`${cut}: ${body}`));
      ids.push({ id, digest });
      await breakOff(request('PUT', `${location}?digest=${digest}`, body, way).slice(0, cut), how);
    }
    await settled();
    for (const { id, digest } of ids) {
      const there = (await registry.call('HEAD', `/v2/app/blobs/${digest}`)).status === 200;
      expect([id, (await held(id)) === undefined]).toEqual([id, there]);
    }
    await registry.store.uploads.expire(0);
    await expectNothingLeft();
  });

  test('of the PUT of a manifest leaves the manifest, or nothing', async () => {
    const { bytes } = await registry.image('app', 'v1');
    const before = registry.disk.files();
    const body = String(bytes).replaceAll(/\s+/g, '');
    const whole = request('PUT', '/v2/app/manifests/t000', body);
    for (const cut of cuts(whole)) {
      const tag = `t${String(cut).padStart(3, '0')}`;
      await breakOff(whole.replace('t000', tag).slice(0, cut), how);
    }
    await expectNothingLeft();
    const { tags } = JSON.parse(String((await registry.call('GET', '/v2/app/tags/list')).body));
    expect(tags.length).toBeLessThanOrEqual(2);
    const manifest = await registry.call('HEAD', `/v2/app/manifests/${digestOf(Buffer.from(body))}`);
    expect(manifest.status).toBe(tags.length === 2 ? 200 : 404);
    if (tags.length === 1) expect([...registry.disk.files().keys()]).toEqual([...before.keys()]);
  });

  test('of an answer leaves no file open', async () => {
    const digest = await registry.blob('app', random(1).bytes(3_000_000));
    for (let taken = 1; taken < 400; taken += 7) {
      using line = await dial(registry.port);
      line.socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: registry\r\n\r\n`);
      while (line.received().length < taken) await new Promise((resolve) => line.socket.once('data', resolve));
      if (how === 'end') line.socket.destroy();
      else line.socket.resetAndDestroy();
      await line.closed;
    }
    await expectNothingLeft();
  });
});
