import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from './support/client.ts';
import { contents, digestAt } from './support/contents.ts';
import { crane } from './support/crane.ts';
import { ctr } from './support/ctr.ts';
import { DocTable } from './support/doc-table.ts';
import { dockerClient } from './support/docker-client.ts';
import { writeLayout } from './support/images.ts';
import * as kinds from './support/kinds.ts';
import type { LayoutClient } from './support/layout-client.ts';
import { digestsIn, makeLayout } from './support/layout.ts';
import { oras } from './support/oras.ts';
import { podman } from './support/podman.ts';
import { regctl } from './support/regctl.ts';
import { type Shiplog, startShiplog } from './support/shiplog.ts';
import { skopeo } from './support/skopeo.ts';
import { skopeoClient } from './support/skopeo-client.ts';

interface Row {
  readonly name: string;
  readonly kind: kinds.Kind;
  /** Why some clients do not take part. */
  readonly cannot?: Readonly<Record<string, string>>;
}

const engines = (reason: string): Record<string, string> => ({ 'Docker Engine': reason, podman: reason });

const rows: readonly Row[] = [
  {
    name: 'schema 2',
    kind: kinds.schema2,
    cannot: { skopeo: 'it reads none from a layout; it makes its own in skopeo.test.ts' },
  },
  { name: 'OCI image', kind: kinds.ociImage },
  {
    name: 'index of indexes',
    kind: kinds.nestedIndex,
    cannot: { skopeo: 'it takes no index in an index' },
  },
  {
    name: 'artifact, empty config',
    kind: kinds.artifact,
    cannot: engines('it takes only images'),
  },
  {
    name: '127 layers',
    kind: kinds.manyLayers,
    cannot: { 'Docker Engine': 'it takes at most 125' },
  },
  {
    name: 'empty layers',
    kind: kinds.emptyLayers,
    cannot: { 'ctr (containerd)': 'it fails where content has no byte' },
  },
  {
    name: 'foreign layers',
    kind: kinds.foreignLayers,
    cannot: {
      crane: 'it fetches them from where they are',
      'ctr (containerd)': 'it pushes them too',
      ...engines('it fetches them from where they are'),
    },
  },
  { name: 'attestation', kind: kinds.attestation },
  {
    name: "buildkit's cache",
    kind: kinds.buildCache,
    cannot: {
      skopeo: 'it takes only images in an index',
      crane: 'it takes only images in an index',
      'ctr (containerd)': 'it cannot write it to a layout',
      ...engines('it takes only images'),
    },
  },
];

const layoutClients = [skopeoClient, crane, oras, regctl, ctr];
const pullers = [dockerClient, podman];
const table = new DocTable(
  'clients.md',
  'kind',
  [...layoutClients, ...pullers].map(({ name }) => name),
);

let shiplog: Shiplog;
beforeAll(async () => {
  shiplog = await startShiplog('open');
  for (const { name, cannot = {} } of rows) {
    table.row(name);
    for (const [client, reason] of Object.entries(cannot)) table.cannot(name, client, reason);
  }
});
afterAll(() => shiplog[Symbol.asyncDispose]());

const rowsOf = (client: { name: string }): Row[] => rows.filter(({ cannot }) => cannot?.[client.name] === undefined);
const repositoryOf = (...names: string[]): string =>
  names
    .join('/')
    .replaceAll(/[^\w/]+/g, '-')
    .toLowerCase();

describe.each(layoutClients)('pushed and pulled by $name', (client) => {
  let running: LayoutClient;
  // Programs in Go may have to be built.
  beforeAll(async () => {
    running = await client.start();
  }, 600_000);
  afterAll(() => running[Symbol.asyncDispose]());

  test.each(rowsOf(client))('$name', async ({ name, kind }) => {
    await using layout = await makeLayout();
    await using out = await mkdtempDisposable(join(tmpdir(), 'shiplog-kinds-'));
    await layout.name(await kind(layout), 'image');
    const pushed = await digestsIn(layout.folder);
    const repository = repositoryOf(client.name.split(' ')[0] ?? '', name);

    await running.pushLayout(layout.folder, `${shiplog.host}/${repository}:1`);
    expect([...(await contents(shiplog, repository, '1')).keys()].toSorted()).toEqual(pushed);
    await running.pullLayout(`${shiplog.host}/${repository}:1`, join(out.path, 'layout'));
    expect(await digestsIn(join(out.path, 'layout'))).toEqual(pushed);
    table.ran(name, client.name);
  });
});

describe.each(pullers)('pushed by regctl and pulled by $name', (client) => {
  let running: Client;
  let pusher: LayoutClient;
  beforeAll(async () => {
    pusher = await regctl.start();
    running = await client.start();
  }, 600_000);
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await pusher[Symbol.asyncDispose]();
  });

  test.each(rowsOf(client))('$name', async ({ name, kind }) => {
    await using layout = await makeLayout();
    await layout.name(await kind(layout), 'image');
    const repository = repositoryOf('engine', client.name, name);
    await pusher.pushLayout(layout.folder, `${shiplog.host}/${repository}:1`);
    expect(await running.pull(`${shiplog.host}/${repository}:1`)).toBe(await digestAt(shiplog, repository, '1'));
    table.ran(name, client.name);
  });
});

test('schema 1 is refused, and the client prints what to do', async () => {
  await using layout = await writeLayout();
  const pushed = skopeo('copy', '--format=v2s1', layout.single, `docker://${shiplog.host}/old:1`);
  await expect(pushed).rejects.toThrow(/manifest invalid: Docker schema 1 .* push the image again .* skopeo copy/);
});

test('docs/clients.md says what ran', async () => {
  expect(await table.page()).toBe(table.text());
});
