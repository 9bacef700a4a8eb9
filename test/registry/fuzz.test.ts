import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { digestOf, isDigest } from '../../storage/digest.ts';
import { isName, isTag } from '../../storage/names.ts';
import { patience, runs } from '../support/effort.ts';
import { exchange, type RawAnswer } from '../support/raw-http.ts';
import { startRegistry } from '../support/registry.ts';
import { send, startTestService } from '../support/service.ts';
import { hostileRequest, type HostileRequest, isWhole, render } from './hostile-requests.ts';

/** Fields that answers have: another one would be the request's doing. */
const known = new Set(
  `accept-ranges allow cache-control connection content-length content-range content-type date
  docker-content-digest docker-distribution-api-version docker-upload-uuid etag keep-alive link location
  oci-chunk-min-length oci-filters-applied oci-subject oci-tag range retry-after transfer-encoding vary warning
  www-authenticate`.split(/\s+/),
);

/** What Node itself answers, ahead of the application, to what is no request of HTTP. */
const ahead = [400, 408, 413, 417, 431];

/** Sends requests, each on a connection of its own, and looks at each answer. */
class Client {
  readonly #port: number;
  #upload = 'none';

  constructor(port: number) {
    this.#port = port;
  }

  async ask(request: HostileRequest): Promise<void> {
    const whole = isWhole(request);
    const answer = await exchange(this.#port, render(request, this.#upload), { end: !whole });
    if (answer === undefined) {
      // Who goes away before the end of what was announced need not be answered, and CONNECT asks for no answer.
      expect(whole && request.method !== 'CONNECT').toBe(false);
      return;
    }
    expect(answer.status).toBeLessThan(500);
    expect([...answer.headers.keys()].filter((name) => !known.has(name))).toEqual([]);
    this.#upload = answer.headers.get('docker-upload-uuid') ?? this.#upload;
    if (answer.status >= 400 && request.method !== 'HEAD') checkError(answer);
  }
}

function checkError({ status, headers, body }: RawAnswer): void {
  if (body.length === 0 && !headers.has('docker-distribution-api-version')) {
    expect(ahead).toContain(status);
    return;
  }
  expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  const { errors, ...rest } = JSON.parse(String(body));
  expect([errors.length, rest]).toEqual([1, {}]);
  expect(errors[0]).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/), message: expect.any(String) });
}

const top = 'docker/registry/v2';
const digest = String.raw`(?<algorithm>sha256|sha512)/(?<hex>[0-9a-f]+)`;
const uuid = '[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}';
const layout = [
  `blobs/(?<algorithm>sha256|sha512)/[0-9a-f]{2}/(?<hex>[0-9a-f]+)/data`,
  `repositories/(?<name>.+)/_(?:layers|manifests/revisions)/${digest}/link`,
  `repositories/(?<name>.+)/_manifests/tags/(?<tag>[^/]+)/(?:current|index/${digest})/link`,
  `_shiplog/index/(?:configs|subjects)/(?:sha256|sha512)/[0-9a-f]+/(?<name>.+)/_manifests/${digest}/link`,
  `_shiplog/uploads/${uuid}(?:\\.data\\.\\d+)?`,
].map((shape) => new RegExp(`^${top}/${shape}$`));

/** Whether a file has a place in the layout, made of a name, a tag and a digest that are such. */
function hasPlace(path: string): boolean {
  const groups = layout.map((shape) => shape.exec(path)).find((match) => match !== null)?.groups;
  if (groups === undefined) return layout.at(-1)?.test(path) === true;
  const { name, tag, algorithm, hex } = groups;
  return (
    (name === undefined || isName(name)) &&
    (tag === undefined || isTag(tag)) &&
    (algorithm === undefined || isDigest(`${algorithm}:${hex}`))
  );
}

test(
  'whatever is sent, no answer is a 5xx, no path leaves the tree, and the server goes on',
  { timeout: patience },
  async () => {
    await using registry = await startRegistry();
    const kept = await registry.image('kept', 'v1');
    await registry.image('app', 'v1');
    const strange: string[] = [];
    registry.disk.before(({ path, from = path }) => {
      const good = /^\/registry\/docker\/registry\/v2(?:\/[\w.-]+)*$/;
      if (!good.test(path) || !good.test(from)) strange.push(path, from);
    });
    const property = fc.asyncProperty(fc.array(hostileRequest, { minLength: 1, maxLength: 8 }), async (requests) => {
      const client = new Client(registry.port);
      for (const request of requests) await client.ask(request);
      expect(strange).toEqual([]);
      expect((await registry.call('GET', '/v2/kept/manifests/v1')).body).toEqual(kept.bytes);
    });
    await fc.assert(property, runs(500));
    registry.disk.before(undefined);
    const files = [...registry.disk.files().keys()].map((path) => path.replace(/^\/registry\//, ''));
    expect(files.filter((path) => !hasPlace(path))).toEqual([]);
    expect(registry.logged.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  },
);

test('the whole service, on a real file system, stands it as well', { timeout: patience }, async () => {
  await using service = await startTestService();
  const there = { method: 'POST', body: 'layer' };
  const layer = digestOf(Buffer.from(there.body));
  expect((await send(service.port, `/v2/app/blobs/uploads/?digest=${layer}`, there)).status).toBe(201);
  const client = new Client(service.port);
  await fc.assert(
    fc.asyncProperty(hostileRequest, (request) => client.ask(request)),
    runs(1000),
  );
  expect((await send(service.port, '/v2/')).status).toBe(200);
  const entries = await readdir(join(service.data, 'registry'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  expect(files.map((file) => file.slice(service.data.length + 10)).filter((path) => !hasPlace(path))).toEqual([]);
  expect((await readdir(service.data)).toSorted()).toEqual(['registry', 'state']);
  expect(service.logged.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});
