import { mkdtempDisposable, readdir, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { random } from '../support/random.ts';
import type { Server } from '../support/server.ts';
import type { Client, ClientKind } from './support/client.ts';
import { crane } from './support/crane.ts';
import { DocTable } from './support/doc-table.ts';
import { dockerClient } from './support/docker-client.ts';
import { authorization, type Front, startFront } from './support/front.ts';
import { type Fuses, startFuses, type Step, steps } from './support/fuses.ts';
import { inBucket } from './support/ground.ts';
import { longTest } from './support/long.ts';
import { oras } from './support/oras.ts';
import { podman } from './support/podman.ts';
import { regctl } from './support/regctl.ts';
import { type S3Server, startS3 } from './support/s3.ts';
import { account } from './support/shiplog.ts';
import { skopeoClient } from './support/skopeo-client.ts';

const patience = { timeout: 20_000, interval: 100 };
const kinds: readonly ClientKind[] = [dockerClient, skopeoClient, crane, oras, regctl, podman];
const uploads = 'docker/registry/v2/_shiplog/uploads';

/** What became of a push: the client or nginx went on, the same command did it, or the client sends no such request. */
type Outcome = 'itself' | 'again' | '–';

/** A place for images that is new each time. */
interface Place {
  readonly settings: Readonly<Record<string, string>>;
  /** The upload sessions in it; on a disk also what a kill has left of one that began or ended. */
  sessions(): Promise<string[]>;
  /** Makes the latter old enough to be swept away. */
  age(): Promise<void>;
}

const stack = new AsyncDisposableStack();
let s3: S3Server;
let folder: string;
let front: Front;
let fuses: Fuses;
beforeAll(async () => {
  s3 = stack.use(await startS3('versitygw'));
  folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'shiplog-failover-'))).path;
  front = stack.use(
    await startFront({
      instances: 2,
      accel: false,
      between: async (servers) => {
        fuses = stack.use(await startFuses(servers));
        return fuses.ports;
      },
    }),
  );
}, 600_000);
afterAll(() => stack.disposeAsync());

let places = 0;
const stores: Readonly<Record<'disk' | 'bucket', () => Place>> = {
  disk() {
    const root = join(folder, String((places += 1)));
    return {
      settings: { SHIPLOG_STORAGE_DRIVER: 'disk', SHIPLOG_STORAGE_DISK_ROOT: root },
      sessions: async () => (await readdir(join(root, uploads))).filter((name) => !name.includes('.')),
      async age() {
        const before = Date.now() / 1000 - 7200;
        const paths = await readdir(join(root, uploads), { recursive: true });
        for (const path of paths) await utimes(join(root, uploads, path), before, before);
      },
    };
  },
  bucket() {
    const ground = inBucket(s3);
    return {
      settings: ground.settings,
      async sessions() {
        const keys = [...(await ground.read()).keys()];
        return keys.filter((key) => key.includes(uploads) && key.endsWith('/record'));
      },
      // What has no record is no session. It is swept too, but nothing makes an object older.
      age: async () => undefined,
    };
  },
};

/** Starts both anew, on a place of images. `expiry` is that of upload sessions. */
async function restart({ settings }: Place, expiry = '24h'): Promise<void> {
  const start = async (server: Server): Promise<void> => {
    await server.kill();
    for (const name of Object.keys(server.env)) if (name.startsWith('SHIPLOG_STORAGE_S3_')) delete server.env[name];
    Object.assign(server.env, settings, { SHIPLOG_STORAGE_UPLOAD_EXPIRY: expiry });
    await server.start();
  };
  await Promise.all(front.servers.map(start));
  await fuses.renew();
}

describe.each(['disk', 'bucket'] as const)('two on one %s', (store) => {
  test('each request of a push comes to another one, and the image is whole', async () => {
    const place = stores[store]();
    await restart(place);
    const base = `http://${front.nginx.plainHost}`;
    const seen = (await front.nginx.requests()).length;
    const bytes = random(6).bytes(3_000_000);
    const ask = async (method: string, path: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> => {
      const headers = {
        authorization,
        ...(method === 'PUT' && path.includes('manifests') && { 'content-type': type }),
      };
      const answer = await fetch(new URL(path, base), { method, headers, ...(body && { body }) });
      expect(answer.ok, `${method} ${path}: ${answer.status}`).toBe(true);
      return answer;
    };
    const type = 'application/vnd.oci.image.index.v1+json';
    let session = (await ask('POST', '/v2/app/blobs/uploads/')).headers.get('location') ?? '';
    for (const part of [
      bytes.subarray(0, 1_000_000),
      bytes.subarray(1_000_000, 1_000_001),
      bytes.subarray(1_000_001),
    ]) {
      session = (await ask('PATCH', session, Uint8Array.from(part))).headers.get('location') ?? '';
    }
    const put = new URL(session, base);
    put.searchParams.set('digest', digestOf(bytes));
    await ask('PUT', put.href);
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests: [] }));
    await ask('PUT', '/v2/app/manifests/1', manifest);
    const pulled = await ask('GET', `/v2/app/blobs/${digestOf(bytes)}`);
    expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
    expect(digestOf(new Uint8Array(await (await ask('GET', '/v2/app/manifests/1')).arrayBuffer()))).toBe(
      digestOf(manifest),
    );
    const asked = await vi.waitFor(async () => {
      const all = (await front.nginx.requests()).slice(seen).map((request) => request.asked);
      expect(all).toHaveLength(8);
      return all.flat();
    }, patience);
    expect(new Set(asked).size).toBe(2);
    expect(asked).toEqual(asked.map((_, at) => asked[at % 2]));
    expect(await place.sessions()).toEqual([]);
  });
});

/** Pushes while one of two is killed, and once more where that failed. */
async function pushAcross(client: Client, store: 'disk' | 'bucket', step: Step): Promise<Outcome> {
  const place = stores[store]();
  await restart(place);
  const image = `${front.nginx.plainHost}/team/app:1`;
  fuses.arm(step);
  let outcome: Outcome = 'itself';
  try {
    await client.push(image);
  } catch {
    outcome = 'again';
    expect(await fuses.blown()).toBeDefined();
    await client.push(image);
  }
  const cut = await fuses.blown();
  if (cut === undefined) return '–';
  // Whoever was killed is still away: the other one has all of it.
  expect(await client.pull(image)).toMatch(/^sha256:/);
  const left = await place.sessions();
  expect(left.length).toBeLessThanOrEqual(cut);
  await place.age();
  await restart(place, '1ms');
  await vi.waitFor(async () => expect(await place.sessions()).toEqual([]), patience);
  console.log(`${store}, ${step}: ${outcome}, ${cut} requests cut off, ${left.length} sessions left`);
  return outcome;
}

const table = new DocTable('nginx.md', 'client', steps);
beforeAll(() => table.load());

/** Adds to what was seen before: which of several requests at once is hit, and with that the outcome, is chance. */
function note(client: string, step: Step, seen: readonly Outcome[]): void {
  const all = ['itself', 'again'].filter(
    (one) => seen.some((outcome) => outcome === one) || table.cell(client, step)?.includes(one),
  );
  table.ran(client, step, all.length === 0 ? '–' : all.join(' or '));
}

for (const kind of kinds) {
  // The first client is enough for the short run.
  const run = kind === kinds[0] ? test : longTest;
  run(
    `one of two is killed in the middle of each step of a push by ${kind.name}`,
    async () => {
      await restart(stores.disk());
      await using client = await kind.start();
      await client.login(front.nginx.plainHost, account.name, account.password);
      for (const step of steps) {
        note(kind.name, step, [await pushAcross(client, 'disk', step), await pushAcross(client, 'bucket', step)]);
      }
    },
    3_600_000,
  );
}

test('docs/nginx.md says what ran', async () => {
  expect(await table.page()).toBe(table.text());
});
