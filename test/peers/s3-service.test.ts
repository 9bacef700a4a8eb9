import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openS3 } from '../../storage/drivers/s3.ts';
import { parallel } from '../../storage/parallel.ts';
import { collect, image, sha256 } from '../support/images.ts';
import { random } from '../support/random.ts';
import { type Server, startServer } from '../support/server.ts';
import { Api } from './support/api.ts';
import { kinds, type S3Server, shiplogSettings, startS3 } from './support/s3.ts';

const mebibyte = 1024 * 1024;

describe.each(kinds)('shiplog on %s', (kind) => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startS3(kind);
  });
  afterAll(async () => {
    await s3[Symbol.asyncDispose]();
  });

  /** Waits until the lease of that generation has sent a part of an upload. */
  async function expectPart(place: string, generation: number): Promise<void> {
    const id = place.split('?')[0]?.split('/').at(-1) ?? '';
    const sent = async (): Promise<boolean> => {
      const { Contents: objects = [] } = await s3.s3.listObjectsV2({ Bucket: s3.bucket });
      return objects.some(({ Key: key = '' }) => key.includes(`/${id}/part.${generation}.`));
    };
    await expect.poll(sent, { timeout: 60_000 }).toBe(true);
  }

  /** Two processes on one bucket. */
  async function startTwo(): Promise<[Server, Server] & AsyncDisposable> {
    const settings = shiplogSettings(s3.place());
    const servers: [Server, Server] = [await startServer(settings), await startServer(settings)];
    return Object.assign(servers, {
      async [Symbol.asyncDispose]() {
        for (const server of servers) await server[Symbol.asyncDispose]();
      },
    });
  }

  test('a thousand PATCHes of 10 KB, each at the other process, make one blob', async () => {
    await using servers = await startTwo();
    const bytes = random(1).bytes(1000 * 10_000);
    let place = await begin(servers[0]);
    for (let number = 0; number < 1000; number += 1) {
      const start = number * 10_000;
      const patched = await send(servers[number % 2 === 0 ? 0 : 1], place, {
        body: bytes.subarray(start, start + 10_000),
        range: `${start}-${start + 9999}`,
      });
      expect(patched.status).toBe(202);
      place = patched.headers.get('location') ?? '';
    }
    expect(await finish(servers[1], place, bytes)).toBe(201);
    await expectBlob(servers[0], bytes);
  });

  test('two PATCHes at once, at two processes: one fails, and the blob is right', async () => {
    await using servers = await startTwo();
    const bytes = random(2).bytes(20 * mebibyte);
    const place = await begin(servers[0]);
    const older = slowly(servers[0], place, bytes.subarray(0, 10 * mebibyte));
    await expectPart(place, 1);
    const newer = await send(servers[1], place, { body: bytes, range: `0-${bytes.length - 1}` });
    expect(newer.status).toBe(202);
    expect(await older.finish(bytes.subarray(10 * mebibyte))).toBe(409);
    expect(await finish(servers[0], newer.headers.get('location') ?? '', bytes)).toBe(201);
    await expectBlob(servers[1], bytes);
  });

  test('a process is killed in the middle of a PATCH: the push goes on at the other one', async () => {
    await using servers = await startTwo();
    const bytes = random(3).bytes(30 * mebibyte);
    let place = await begin(servers[0]);
    const first = await send(servers[0], place, {
      body: bytes.subarray(0, 9 * mebibyte),
      range: `0-${9 * mebibyte - 1}`,
    });
    place = first.headers.get('location') ?? '';
    slowly(servers[0], place, bytes.subarray(9 * mebibyte, 28 * mebibyte));
    await expectPart(place, 2);
    await servers[0].kill();
    const status = await fetch(new URL(place, servers[1].url));
    expect(status.status).toBe(204);
    const held = Number(status.headers.get('range')?.split('-')[1]) + 1;
    expect(held).toBe(9 * mebibyte);
    const rest = await send(servers[1], status.headers.get('location') ?? '', {
      body: bytes.subarray(held),
      range: `${held}-${bytes.length - 1}`,
    });
    expect(rest.status).toBe(202);
    expect(await finish(servers[1], rest.headers.get('location') ?? '', bytes)).toBe(201);
    await expectBlob(servers[1], bytes);
  });

  test('while S3 is away the registry says so, and never that something is not there', async () => {
    await using server = await startServer(shiplogSettings(s3.place()));
    const api = new Api(server);
    const one = image({ layerSizes: [1000] });
    await api.image('app', one, 'v1');
    await s3.stop();
    const [layer] = one.layers;
    for (const path of [
      '/v2/app/manifests/v1',
      `/v2/app/manifests/${one.manifest.digest}`,
      `/v2/app/blobs/${layer?.digest}`,
      '/v2/app/tags/list',
      '/v2/_catalog',
    ]) {
      const { status, headers, body } = await api.call('GET', path);
      expect(status, path).toBe(503);
      expect(headers.get('retry-after'), path).toBe('5');
      expect(JSON.parse(String(body)).errors[0].code).toBe('UNAVAILABLE');
    }
    expect((await api.call('POST', '/v2/app/blobs/uploads/')).status).toBe(503);
    expect(server.output()).toContain('ECONNREFUSED');
    await s3.start();
    // SeaweedFS answers before all its volumes are there again.
    await expect
      .poll(async () => (await api.call('GET', '/v2/app/manifests/v1')).status, { timeout: 60_000 })
      .toBe(200);
    expect((await api.call('GET', '/v2/app/manifests/v1')).body).toEqual(one.manifest.bytes);
    await api.image('app', image({ seed: 2 }), 'v2');
  });

  test('more tags than one answer of S3 has are listed', async () => {
    const place = s3.place();
    await using server = await startServer(shiplogSettings(place));
    const api = new Api(server);
    const one = image({ layerSizes: [] });
    await api.image('app', one);
    const tags = Array.from({ length: 1200 }, (_, number) => `v${number}`).sort();
    await using driver = await openS3(place);
    await parallel(tags, 16, (tag) =>
      driver.put(
        `docker/registry/v2/repositories/app/_manifests/tags/${tag}/current/link`,
        Buffer.from(one.manifest.digest),
      ),
    );
    const { body } = await api.call('GET', '/v2/app/tags/list');
    expect(JSON.parse(String(body)).tags).toEqual(tags);
  });

  test('pulls are sent to S3 where that is wanted, whole or by one range, unless it is the registry’s own host', async () => {
    const settings = { ...shiplogSettings(s3.place()), SHIPLOG_STORAGE_S3_REDIRECT: 'true' };
    await using server = await startServer(settings);
    const bytes = random(4).bytes(9 * mebibyte);
    expect(await finish(server, await patch(server, await begin(server), bytes), bytes)).toBe(201);
    const path = `/v2/app/blobs/${sha256(bytes)}`;
    const elsewhere = `http://localhost:${server.httpPort}${path}`;
    for (const range of [undefined, 'bytes=5-9']) {
      const headers: Record<string, string> = range === undefined ? {} : { range };
      const answer = await fetch(elsewhere, { headers, redirect: 'manual' });
      expect(answer.status).toBe(307);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      const location = answer.headers.get('location') ?? '';
      expect(location).toContain(s3.endpoint);
      const got = await fetch(location, { headers });
      expect(got.status).toBe(range === undefined ? 200 : 206);
      expect(got.headers.get('content-type')).toBe('application/octet-stream');
      const part = range === undefined ? bytes : bytes.subarray(5, 10);
      expect(sha256(new Uint8Array(await got.arrayBuffer()))).toBe(sha256(part));
    }
    const head = await fetch(elsewhere, { method: 'HEAD', redirect: 'manual' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
    expect((await fetch(elsewhere, { headers: { range: 'bytes=1-2,4-5' }, redirect: 'manual' })).status).toBe(206);
    expect((await fetch(server.url + path, { redirect: 'manual' })).status).toBe(200);
    for (const secret of ['shiplog-secret-key', 'X-Amz-Signature']) expect(server.output()).not.toContain(secret);
  });

  test.each([
    ['SHIPLOG_STORAGE_S3_BUCKET', 'nowhere', 'storage.s3.bucket'],
    ['SHIPLOG_STORAGE_S3_ACCESS_KEY_ID', 'nobody', 'storage.s3.access_key_id'],
    ['SHIPLOG_STORAGE_S3_SECRET_ACCESS_KEY', 'guessed', 'storage.s3.secret_access_key'],
    ['SHIPLOG_STORAGE_S3_ENDPOINT', 'http://127.0.0.1:1', 'storage.s3.endpoint'],
  ])('%s that is wrong fails at the start, by its key', async (name, value, key) => {
    const start = startServer({ ...shiplogSettings(s3.place()), [name]: value });
    await expect(start).rejects.toThrow(key);
  });
});

/** Begins an upload. @returns where it goes on */
async function begin(server: Server): Promise<string> {
  const answer = await fetch(`${server.url}/v2/app/blobs/uploads/`, { method: 'POST' });
  expect(answer.status).toBe(202);
  return answer.headers.get('location') ?? '';
}

/** Sends a PATCH. */
async function send(
  server: Server,
  place: string,
  { body, range }: { body: Uint8Array<ArrayBuffer>; range: string },
): Promise<Response> {
  return fetch(new URL(place, server.url), {
    method: 'PATCH',
    headers: { 'content-type': 'application/octet-stream', 'content-range': range },
    body,
  });
}

/** Sends all of an upload in one PATCH. @returns where it goes on */
async function patch(server: Server, place: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const answer = await send(server, place, { body: bytes, range: `0-${bytes.length - 1}` });
  expect(answer.status).toBe(202);
  return answer.headers.get('location') ?? '';
}

/** Ends an upload with an empty PUT. @returns the status */
async function finish(server: Server, place: string, bytes: Uint8Array): Promise<number> {
  const url = new URL(place, server.url);
  url.searchParams.set('digest', sha256(bytes));
  return (await fetch(url, { method: 'PUT' })).status;
}

async function expectBlob(server: Server, bytes: Uint8Array): Promise<void> {
  const answer = await fetch(`${server.url}/v2/app/blobs/${sha256(bytes)}`);
  expect(answer.status).toBe(200);
  if (answer.body === null) throw new Error('no body');
  expect(sha256(await collect(answer.body))).toBe(sha256(bytes));
}

/** A PATCH of which the first bytes are sent, and others are to come. */
function slowly(server: Server, place: string, first: Uint8Array): { finish(rest: Uint8Array): Promise<number> } {
  const patch = request(new URL(place, server.url), {
    method: 'PATCH',
    headers: { 'content-type': 'application/octet-stream' },
  });
  patch.on('error', () => undefined);
  patch.write(first);
  return {
    async finish(rest) {
      const answered = once(patch, 'response');
      patch.end(rest);
      const [answer] = await answered;
      answer.resume();
      return answer.statusCode;
    },
  };
}
