import { afterAll, beforeAll, expect, test } from 'vitest';
import { random } from '../support/random.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const names =
  `app a/b .. ../.. %2e%2e %2E%2e/%2e%2e a%2fb a%00b %5c..%5c % %zz %c0%af %ff a//b A _catalog _shiplog . a/_layers __proto__`
    .split(' ')
    .concat('', 'x'.repeat(10_000), `${'a/'.repeat(127)}a`);
const zeros = `sha256:${'0'.repeat(64)}`;
const references = [
  'v1',
  zeros,
  '..',
  '%2e%2e',
  '%00',
  'sha256:..',
  'md5:x',
  '-',
  '',
  'x'.repeat(129),
  'v1%2f..',
  '%zz',
];
const session = '00000000-0000-0000-0000-000000000000';
const methods = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'];
const texts = ['', '0', '-1', 'x', '%00', '%', '9'.repeat(400), '..', zeros, 'app', '__proto__', 'v1'];
const ranges = [
  'bytes=0-',
  'bytes=-0',
  'bytes=5-2',
  'bytes=0-0,1-1',
  `bytes=${'0-0,'.repeat(5000)}`,
  'bytes',
  ',',
  '-',
];
const types = ['application/json', 'application/vnd.oci.image.manifest.v1+json', '__proto__', ';;', ''];
const bodies = ['', '{}', '[', '{"schemaVersion":2,"layers":[null]}', '['.repeat(20_000), 'x'.repeat(70_000)];

let registry: Registry;
beforeAll(async () => {
  registry = await startRegistry();
  await registry.image('app', 'v1');
});
afterAll(() => registry[Symbol.asyncDispose]());

test('whatever is asked, the fault is the client’s, and nothing lies beside the tree', async () => {
  const dice = random(1);
  const paths = [
    () => `/v2/${dice.pick(names)}/manifests/${dice.pick(references)}`,
    () => `/v2/${dice.pick(names)}/blobs/${dice.pick(references)}`,
    () => `/v2/${dice.pick(names)}/blobs/uploads/${dice.pick([...references, session])}`,
    () => `/v2/${dice.pick(names)}/tags/list`,
    () => '/v2/_catalog',
  ];
  const parameters = ['n', 'last', 'digest', 'mount', 'from', 'n'];
  const ask = async (): Promise<void> => {
    const query = parameters.filter(() => dice.chance(0.2)).map((name) => `${name}=${dice.pick(texts)}`);
    const [method, path] = [dice.pick(methods), `${dice.pick(paths)()}?${query.join('&')}`];
    const headers = {
      ...(dice.chance(0.3) && { range: dice.pick(ranges) }),
      ...(dice.chance(0.3) && { 'content-range': dice.pick(['0-0', '5-1', 'bytes 0-1/2', '0-99999999999999', '']) }),
      ...(dice.chance(0.5) && { 'content-type': dice.pick(types) }),
      ...(dice.chance(0.1) && { 'if-none-match': dice.pick(['*', '"', ',,']) }),
    };
    const body = dice.chance(0.5) ? dice.pick(bodies) : undefined;
    const { status } = await registry.call(method, path, { headers, ...(body !== undefined && { body }) });
    expect(status, `${method} ${path.slice(0, 200)} ${JSON.stringify(headers).slice(0, 200)}`).toBeLessThan(500);
  };
  for (let round = 0; round < 100; round += 1) await Promise.all(Array.from({ length: 10 }, ask));
  expect(await registry.disk.readdir('/')).toEqual(['registry']);
  expect(await registry.disk.readdir('/registry')).toEqual(['docker']);
  expect((await registry.disk.readdir('/registry/docker/registry/v2')).toSorted()).toEqual([
    '_shiplog',
    'blobs',
    'repositories',
  ]);
  const found = await registry.disk.readdir('/registry/docker/registry/v2/repositories');
  expect(found.filter((name) => !/^[a-z0-9]+$/.test(name))).toEqual([]);
  expect((await registry.call('GET', '/v2/app/manifests/v1')).status).toBe(200);
});
