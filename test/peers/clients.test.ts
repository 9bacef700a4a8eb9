import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Action, actions, type Client, type ClientKind } from './support/client.ts';
import { contents, digestAt, referrers } from './support/contents.ts';
import { startCosign } from './support/cosign.ts';
import { crane } from './support/crane.ts';
import { ctr } from './support/ctr.ts';
import { DocTable } from './support/doc-table.ts';
import { dockerClient } from './support/docker-client.ts';
import { startHelm } from './support/helm.ts';
import { longTest } from './support/long.ts';
import { oras } from './support/oras.ts';
import { buildah, podman } from './support/podman.ts';
import { regctl } from './support/regctl.ts';
import { account, type Shiplog, startShiplog } from './support/shiplog.ts';
import { skopeoClient } from './support/skopeo-client.ts';

const kinds: readonly ClientKind[] = [dockerClient, skopeoClient, crane, oras, regctl, podman, buildah, ctr];
const table = new DocTable('clients.md', 'client', actions);

describe.each(kinds)('$name', (kind) => {
  const [repository, other] = ['team/app', 'other/app'];
  let shiplog: Shiplog;
  let client: Client;
  let image: string;
  let row: string;
  // Programs in Go may have to be built.
  beforeAll(async () => {
    client = await kind.start();
    shiplog = await startShiplog('htpasswd');
    row = `${kind.name} ${client.version}`;
    table.row(row);
    for (const [action, reason] of Object.entries(kind.cannot)) table.cannot(row, action, reason);
    image = `${shiplog.host}/${repository}:1`;
  }, 600_000);
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await shiplog[Symbol.asyncDispose]();
  });

  const checks: Readonly<Record<Action, () => Promise<void>>> = {
    async 'log in'() {
      await expect(client.push(image)).rejects.toThrow();
      await expect(client.login(shiplog.host, 'stranger', 'wrong').then(() => client.push(image))).rejects.toThrow();
      expect(await digestAt(shiplog, repository, '1')).toBeUndefined();
      await client.login(shiplog.host, account.name, account.password);
    },
    async push() {
      await client.push(image);
      expect((await contents(shiplog, repository, '1')).size).toBeGreaterThanOrEqual(3);
    },
    async pull() {
      expect(await client.pull(image)).toBe(await digestAt(shiplog, repository, '1'));
    },
    async 'list tags'() {
      const type = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
      const body = `{"schemaVersion":2,"mediaType":"${type['content-type']}","manifests":[]}`;
      for (const tag of ['a', 'B_c.d-e']) {
        await shiplog.fetch(`/v2/${repository}/manifests/${tag}`, { method: 'PUT', headers: type, body });
      }
      expect(await client.listTags?.(`${shiplog.host}/${repository}`)).toEqual(['1', 'B_c.d-e', 'a']);
    },
    async attach() {
      const digest = (await digestAt(shiplog, repository, '1')) ?? '';
      await client.attach?.(image);
      const [attached = '', ...more] = await referrers(shiplog, repository, digest);
      expect(more).toEqual([]);
      const [bytes = ''] = (await contents(shiplog, repository, attached)).values();
      expect(JSON.parse(String(bytes))).toMatchObject({
        artifactType: 'application/vnd.example.note',
        subject: { digest },
      });
    },
    async discover() {
      const digest = (await digestAt(shiplog, repository, '1')) ?? '';
      expect(await client.discover?.(image)).toEqual(await referrers(shiplog, repository, digest));
    },
    async copy() {
      const digest = (await digestAt(shiplog, repository, '1')) ?? '';
      await client.copy?.(image, `${shiplog.host}/${other}:1`);
      expect(await contents(shiplog, other, '1')).toEqual(await contents(shiplog, repository, '1'));
      expect(await referrers(shiplog, other, digest)).toEqual(await referrers(shiplog, repository, digest));
    },
    async delete() {
      await client.delete?.(image);
      expect(await digestAt(shiplog, repository, '1')).toBeUndefined();
      expect(await digestAt(shiplog, other, '1')).toBeDefined();
    },
  };

  test.each(actions.filter((action) => kind.cannot[action] === undefined))('can %s', async (action) => {
    await checks[action]();
    table.ran(row, action);
  });
});

test('regctl puts and gets a blob and a manifest alone', async () => {
  await using shiplog = await startShiplog('open');
  await using client = await regctl.start();
  const repository = `${shiplog.host}/team/parts`;
  expect(await client.getBlob(repository, await client.putBlob(repository, 'some content'))).toBe('some content');
  const type = 'application/vnd.oci.image.index.v1+json';
  const manifest = `{ "schemaVersion": 2, "mediaType": "${type}", "manifests": [] }`;
  await client.putManifest(`${repository}:1`, type, manifest);
  expect(await client.getManifest(`${repository}:1`)).toBe(manifest);
});

longTest('helm pushes a chart and pulls it back', async () => {
  await using shiplog = await startShiplog('htpasswd');
  await using helm = await startHelm();
  const chart = await helm.make('web');
  await expect(helm.push(chart, `${shiplog.host}/charts`)).rejects.toThrow();
  await helm.login(shiplog.host, account.name, account.password);
  await helm.push(chart, `${shiplog.host}/charts`);
  const pulled = await helm.pull(`${shiplog.host}/charts`, 'web');
  expect((await readFile(pulled)).equals(await readFile(chart))).toBe(true);
});

longTest('cosign attaches a signature to an image, and finds it', async () => {
  await using shiplog = await startShiplog('htpasswd');
  await using pusher = await crane.start();
  await using cosign = await startCosign();
  await pusher.login(shiplog.host, account.name, account.password);
  await pusher.push(`${shiplog.host}/team/app:1`);
  const digest = (await digestAt(shiplog, 'team/app', '1')) ?? '';
  const image = `${shiplog.host}/team/app@${digest}`;
  await cosign.login(shiplog.host, account.name, account.password);
  await expect(cosign.verify(image)).rejects.toThrow(/no signatures/);
  await cosign.sign(image);
  await cosign.verify(image);
  expect(await referrers(shiplog, 'team/app', digest)).toHaveLength(1);
});

test('docs/clients.md says what ran', async () => {
  expect(await table.page()).toBe(table.text());
});
