import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Driver } from '../../../storage/driver.ts';
import { openStore, type Store } from '../../../storage/store.ts';
import {
  blob,
  body,
  collect,
  descriptor,
  image,
  index,
  pushBlob,
  pushImage,
  sha256,
  sha512,
} from '../../support/images.ts';
import { random } from '../../support/random.ts';
import type { Backend } from '../backends.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const absent = `sha256:${'0'.repeat(64)}`;
const mayRead = (): boolean => true;

/** What every driver does, and the store over it. */
export function storeSuite(kind: string, open: () => Promise<Backend>): void {
  describe(kind, () => {
    let backend: Backend;
    let driver: Driver;
    let store: Store;

    beforeEach(async () => {
      backend = await open();
      driver = backend.driver;
      store = await openStore({ driver, indexMaxAge: 60_000 });
    });

    afterEach(async () => {
      try {
        expect(await backend.leftovers()).toEqual([]);
      } finally {
        await backend[Symbol.asyncDispose]();
      }
    });

    describe('keys', () => {
      test('what was put is read, whole and in spans', async () => {
        const bytes = random(3).bytes(1_500_000);
        await driver.put('a/b', bytes);
        expect(await driver.stat('a/b')).toEqual({ size: bytes.length });
        expect(sha256((await driver.get('a/b', bytes.length)) ?? Buffer.alloc(0))).toBe(sha256(bytes));
        expect(await driver.get('a/b', bytes.length - 1)).toBeUndefined();
        const all = driver.read('a/b', { start: 0, end: bytes.length - 1 });
        expect(sha256(await collect(all))).toBe(sha256(bytes));
        const some = driver.read('a/b', { start: 700_001, end: 1_400_001 });
        expect(sha256(await collect(some))).toBe(sha256(bytes.subarray(700_001, 1_400_002)));
        await driver.put('a/b', Buffer.from('other'));
        expect(await driver.get('a/b', 10)).toEqual(Buffer.from('other'));
      });

      test('what is not there is undefined, whatever is in its way', async () => {
        await driver.put('a/b', Buffer.from('1'));
        for (const key of ['a', 'b', 'a/b/c', 'x/y/z']) {
          expect(await driver.stat(key)).toBeUndefined();
          expect(await driver.get(key, 10)).toBeUndefined();
          expect(await driver.list(`${key}/none`)).toEqual([]);
        }
      });

      test('a folder is listed and deleted with all below it', async () => {
        await driver.put('a/b/c', Buffer.from('1'));
        await driver.put('a/b/d/e', Buffer.from('2'));
        await driver.put('a/f', Buffer.from('3'));
        const entries = await driver.list('a');
        expect(entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))).toEqual([
          { name: 'b', folder: true },
          { name: 'f', folder: false },
        ]);
        expect(await driver.delete('a/b')).toBe(true);
        expect(await driver.delete('a/b')).toBe(false);
        expect(await driver.stat('a/b/d/e')).toBeUndefined();
        expect(await driver.list('a')).toEqual([{ name: 'f', folder: false }]);
      });

      test('a key is deleted only if it holds what it is said to, with the folders that it leaves empty', async () => {
        const [one, two] = [Buffer.from('one'), Buffer.from('two')];
        await driver.put('a/b/c/link', one);
        await driver.put('a/b/other', one);
        for (const wrong of [two, Buffer.from('on'), Buffer.from('one more')]) {
          expect(await driver.deleteSame('a/b/c/link', wrong, 'a/b')).toBe(false);
        }
        expect(await driver.get('a/b/c/link', 3)).toEqual(one);
        expect(await driver.deleteSame('a/b/c/link', one, 'a/b')).toBe(true);
        expect(await driver.deleteSame('a/b/c/link', one, 'a/b')).toBe(false);
        expect(await driver.list('a/b')).toEqual([{ name: 'other', folder: false }]);
        expect(await driver.deleteSame('a/b/other', one, 'a/b')).toBe(true);
        expect(await driver.list('a')).toEqual([]);
      });

      test('settling what is there, and what is not, does no harm', async () => {
        await driver.put('a/b', Buffer.from('1'));
        await driver.settle(['a/b', 'a/c', 'x/y']);
        expect(await driver.list('a')).toEqual([{ name: 'b', folder: false }]);
      });
    });

    describe('leases', () => {
      test('a newer lease goes on where the older one is, and ends it', async () => {
        await driver.uploads.create('u', 'first');
        const older = await driver.uploads.open('u');
        await older?.append([Buffer.from('ab'), Buffer.from('c')]);
        const newer = await driver.uploads.open('u');
        expect(newer).toMatchObject({ offset: 3, inherited: older?.generation, note: 'first' });
        await expect(older?.append([Buffer.from('x')])).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
        await newer?.append([Buffer.from('d')]);
        await expect(older?.save('second')).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
        await newer?.save('third');
        expect(await driver.uploads.state('u')).toEqual({ offset: 4, note: 'third' });
        const last = await driver.uploads.open('u');
        expect(last && (await collect(last.read()))).toEqual(Buffer.from('abcd'));
        await last?.commit('done/data');
        expect(await driver.get('done/data', 10)).toEqual(Buffer.from('abcd'));
        expect(await driver.uploads.state('u')).toBeUndefined();
        expect(await driver.uploads.open('u')).toBeUndefined();
      });

      test('of many leases taken at once, one is left', async () => {
        await driver.uploads.create('u', '');
        const taken = await Promise.all(Array.from({ length: 8 }, () => driver.uploads.open('u')));
        const outcomes = await Promise.allSettled(taken.map(async (lease) => lease?.append([Buffer.from('x')])));
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(await driver.uploads.state('u')).toEqual({ offset: 1, note: '' });
        await (await driver.uploads.open('u'))?.abort();
      });
    });

    describe('uploads', () => {
      const bytes = random(5).bytes(2_600_000);
      const digest = sha256(bytes);

      test('a blob comes in by one request, by pieces and an empty one, and by pieces and a last one', async () => {
        for (const cuts of [[0], [0, bytes.length], [0, 1_400_000], [0, 1, 1_200_000, bytes.length]]) {
          const name = `cuts/n${cuts.length}-${cuts.at(-1)}`;
          const { id } = await store.uploads.create(name);
          for (const [place, start] of cuts.slice(0, -1).entries()) {
            const end = cuts[place + 1];
            const status = await store.uploads.append(name, id, body(bytes.subarray(start, end), 50_000), start);
            expect(status).toEqual({ id, offset: end });
            expect(await store.uploads.status(name, id)).toEqual({ id, offset: end });
          }
          const at = cuts.at(-1) ?? 0;
          const rest = at === bytes.length ? undefined : body(bytes.subarray(at));
          expect(await store.uploads.commit(name, id, digest, rest, at)).toEqual({ digest, size: bytes.length });
          expect(await store.blobs.stat(name, digest)).toEqual({ digest, size: bytes.length });
          expect(sha256(await collect((await store.blobs.open(name, digest)).body))).toBe(sha256(bytes));
          await expect(store.uploads.status(name, id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
        }
      });

      test('the empty blob is a blob', async () => {
        const empty = blob('text/plain', '');
        await pushBlob(store, 'a', empty);
        expect(await store.blobs.stat('a', empty.digest)).toEqual({ digest: empty.digest, size: 0 });
        const { size, body } = await store.blobs.open('a', empty.digest);
        expect([size, await collect(body)]).toEqual([0, Buffer.alloc(0)]);
      });

      test('a blob can be named by sha512', async () => {
        const digest = sha512(bytes);
        const { id } = await store.uploads.create('a');
        await store.uploads.append('a', id, body(bytes.subarray(0, 1000)));
        await store.uploads.commit('a', id, digest, body(bytes.subarray(1000)));
        expect(sha256(await collect((await store.blobs.open('a', digest)).body))).toBe(sha256(bytes));
        await expect(store.blobs.stat('a', sha256(bytes))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
      });

      test('a wrong digest ends the upload', async () => {
        for (const wrong of [absent, `sha512:${'0'.repeat(128)}`]) {
          const { id } = await store.uploads.create('a');
          const commit = store.uploads.commit('a', id, wrong, body(bytes));
          await expect(commit).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
          await expect(store.uploads.status('a', id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
          await expect(store.blobs.stat('a', wrong)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        }
      });

      test('bytes for another place than the end change nothing', async () => {
        const { id } = await store.uploads.create('a');
        await store.uploads.append('a', id, body(bytes.subarray(0, 1000)));
        for (const at of [0, 999, 1001]) {
          const wrong = { code: 'UPLOAD_OUT_OF_ORDER', offset: 1000 };
          await expect(store.uploads.append('a', id, body(bytes), at)).rejects.toMatchObject(wrong);
          await expect(store.uploads.commit('a', id, digest, body(bytes), at)).rejects.toMatchObject(wrong);
        }
        expect(await store.uploads.status('a', id)).toEqual({ id, offset: 1000 });
        await store.uploads.commit('a', id, digest, body(bytes.subarray(1000)), 1000);
      });

      test('what came before a body broke off is kept', async () => {
        const { id } = await store.uploads.create('a');
        const broken = async function* (end: number): AsyncGenerator<Uint8Array, void, void> {
          yield* body(bytes.subarray(0, end), 100_000);
          throw new Error('connection lost');
        };
        await expect(store.uploads.append('a', id, broken(1_700_000))).rejects.toThrow('connection lost');
        expect(await store.uploads.status('a', id)).toEqual({ id, offset: 1_700_000 });
        const rest = body(bytes.subarray(1_700_000));
        await store.uploads.commit('a', id, digest, rest, 1_700_000);
        expect(sha256(await collect((await store.blobs.open('a', digest)).body))).toBe(sha256(bytes));
      });

      test('a newer request takes over from one that hangs, and the blob is right', async () => {
        const { id } = await store.uploads.create('a');
        const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
        const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
        const hanging = async function* (): AsyncGenerator<Uint8Array, void, void> {
          yield* body(bytes.subarray(0, 1_100_000), 100_000);
          begin();
          await stuck;
          yield random(9).bytes(600_000);
        };
        const older = store.uploads.append('a', id, hanging());
        const failed = expect(older).rejects.toMatchObject({ code: 'UPLOAD_TAKEN_OVER' });
        await begun;
        await expect.poll(async () => (await store.uploads.status('a', id)).offset).toBe(1_000_000);
        await store.uploads.append('a', id, body(bytes.subarray(1_000_000, 1_300_000)), 1_000_000);
        goOn();
        await failed;
        await store.uploads.commit('a', id, digest, body(bytes.subarray(1_300_000)), 1_300_000);
        expect(sha256(await collect((await store.blobs.open('a', digest)).body))).toBe(sha256(bytes));
      });

      test('a cancelled upload is gone, also for who still writes to it', async () => {
        const { id } = await store.uploads.create('a');
        const { promise: stuck, resolve: goOn } = Promise.withResolvers<void>();
        const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
        const hanging = async function* (): AsyncGenerator<Uint8Array, void, void> {
          begin();
          await stuck;
          yield bytes;
        };
        const writing = store.uploads.append('a', id, hanging());
        const failed = expect(writing).rejects.toMatchObject({ code: expect.stringMatching(/^UPLOAD_/) });
        await begun;
        await store.uploads.cancel('a', id);
        goOn();
        await failed;
        await expect(store.uploads.cancel('a', id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
      });

      test('an upload is known in its repository only, and only by an id', async () => {
        const { id } = await store.uploads.create('a');
        for (const [name, other] of [
          ['b', id],
          ['a', id.toUpperCase()],
          ['a', `../uploads/${id}`],
          ['a', absent],
          ['a', ''],
        ] as const) {
          const unknown = { code: 'UPLOAD_UNKNOWN' };
          await expect(store.uploads.status(name, other)).rejects.toMatchObject(unknown);
          await expect(store.uploads.append(name, other, body(bytes))).rejects.toMatchObject(unknown);
          await expect(store.uploads.commit(name, other, digest, undefined)).rejects.toMatchObject(unknown);
          await expect(store.uploads.cancel(name, other)).rejects.toMatchObject(unknown);
        }
        await store.uploads.cancel('a', id);
      });
    });

    describe('blobs', () => {
      const layer = blob('text/plain', random(8).bytes(10_000));

      test('a blob is there in its own repository alone, until it is mounted', async () => {
        await pushBlob(store, 'a', layer);
        await expect(store.blobs.stat('b', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        await expect(store.blobs.open('b', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        expect(await store.blobs.mount('b', layer.digest, { from: 'c', mayRead: (name) => name === 'c' })).toBe(false);
        expect(await store.blobs.mount('b', layer.digest, { from: 'a', mayRead })).toBe(true);
        expect(await store.blobs.stat('b', layer.digest)).toEqual({ digest: layer.digest, size: 10_000 });
      });

      test('a deleted blob is gone from its repository, and only there', async () => {
        await pushBlob(store, 'a', layer);
        await store.blobs.mount('b', layer.digest, { from: 'a', mayRead });
        await store.blobs.delete('a', layer.digest);
        await expect(store.blobs.stat('a', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        await expect(store.blobs.delete('a', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        await store.blobs.stat('b', layer.digest);
      });

      test('a range is a part of the blob, and lies in it', async () => {
        await pushBlob(store, 'a', layer);
        const { size, body } = await store.blobs.open('a', layer.digest, { start: 17, end: 9_999 });
        expect(size).toBe(10_000);
        expect(await collect(body)).toEqual(layer.bytes.subarray(17));
        for (const range of [
          { start: 0, end: 10_000 },
          { start: 5, end: 4 },
          { start: -1, end: 4 },
        ]) {
          const wrong = { code: 'SIZE_INVALID' };
          await expect(store.blobs.open('a', layer.digest, range)).rejects.toMatchObject(wrong);
        }
      });

      test('a pushed blob replaces what lies there, even if that is broken', async () => {
        await pushBlob(store, 'a', layer);
        const hex = layer.digest.slice(7);
        const key = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
        await driver.put(key, Buffer.from('broken'));
        await pushBlob(store, 'a', layer);
        expect(await driver.get(key, 20_000)).toEqual(layer.bytes);
      });

      test('an alias that registry:2 made of a sha512 push is served under the digest asked for', async () => {
        await pushBlob(store, 'a', layer);
        const alias = sha512(layer.bytes);
        const key = `docker/registry/v2/repositories/a/_layers/sha512/${alias.slice(7)}/link`;
        await driver.put(key, Buffer.from(layer.digest));
        expect(await store.blobs.stat('a', alias)).toEqual({ digest: alias, size: 10_000 });
        expect(await collect((await store.blobs.open('a', alias)).body)).toEqual(layer.bytes);
      });

      test('a link that holds no digest reads as absent', async () => {
        await pushBlob(store, 'a', layer);
        const key = `docker/registry/v2/repositories/a/_layers/sha256/${layer.digest.slice(7)}/link`;
        const { digest } = layer;
        for (const torn of ['', '\0'.repeat(71), `${digest}\n`, digest.slice(0, 70), `../../${digest}`]) {
          await driver.put(key, Buffer.from(torn));
          await expect(store.blobs.stat('a', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        }
      });
    });

    describe('manifests', () => {
      for (const kind of ['oci', 'docker'] as const) {
        test(`an image and an index of it (${kind}) are found by tag and by digest, byte for byte`, async () => {
          const one = image({ kind });
          const list = index([one], kind);
          await pushImage(store, 'team/web', one, 'v1');
          expect(await store.manifests.put('team/web', 'all', list.bytes, { contentType: list.mediaType })).toEqual({
            digest: list.digest,
            mediaType: list.mediaType,
            elsewhere: [],
          });
          for (const [reference, { digest, mediaType, bytes }] of [
            ['v1', one.manifest],
            [one.manifest.digest, one.manifest],
            ['all', list],
            [list.digest, list],
          ] as const) {
            expect(await store.manifests.get('team/web', reference)).toEqual({ digest, mediaType, bytes });
            const size = bytes.length;
            expect(await store.manifests.stat('team/web', reference)).toEqual({ digest, mediaType, size });
          }
        });
      }

      test('a manifest is refused while the repository lacks what it names', async () => {
        const one = image();
        await pushImage(store, 'other', one, 'v1');
        await pushBlob(store, 'a', one.config);
        const put = (): Promise<unknown> => store.manifests.put('a', 'v1', one.manifest.bytes);
        const digests = one.layers.map(({ digest }) => digest);
        await expect(put()).rejects.toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests });
        const list = index([one]);
        const listed = store.manifests.put('a', 'v1', list.bytes);
        await expect(listed).rejects.toMatchObject({ digests: [one.manifest.digest] });
        await expect(store.manifests.get('a', 'v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
        for (const { digest } of one.layers) await store.blobs.mount('a', digest, { from: 'other', mayRead });
        await put();
        await store.manifests.put('a', 'v1', list.bytes);
      });

      test('an index may list layers, as build caches do', async () => {
        const one = image();
        const cache = blob('application/vnd.oci.image.index.v1+json', {
          schemaVersion: 2,
          manifests: one.layers.map(descriptor),
        });
        await expect(store.manifests.put('a', 'cache', cache.bytes)).rejects.toMatchObject({
          code: 'MANIFEST_BLOB_UNKNOWN',
        });
        for (const layer of one.layers) await pushBlob(store, 'a', layer);
        await store.manifests.put('a', 'cache', cache.bytes);
      });

      test('a layer that is elsewhere may be missing, if its descriptor says where', async () => {
        const foreign = {
          ...descriptor(blob('', 'x')),
          mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
        };
        const without = image({ manifest: { layers: [foreign] } });
        const urls = ['https://example.org/layer'];
        const withUrl = image({ manifest: { layers: [{ ...foreign, urls }] } });
        await pushImage(store, 'a', withUrl, 'v1');
        const put = store.manifests.put('a', 'v1', without.manifest.bytes);
        await expect(put).rejects.toMatchObject({ digests: [foreign.digest] });
      });

      test('a subject may be missing, and is told', async () => {
        const subject = { mediaType: manifestType, digest: absent, size: 7 };
        const one = image({ manifest: { subject } });
        for (const layer of [one.config, ...one.layers]) await pushBlob(store, 'a', layer);
        const { digest } = one.manifest;
        expect(await store.manifests.put('a', digest, one.manifest.bytes)).toEqual({
          digest,
          mediaType: manifestType,
          subject: { digest: absent, found: false },
          elsewhere: [],
        });
      });

      test('a manifest put by digest has that digest, by sha256 or sha512', async () => {
        const one = image();
        await pushImage(store, 'a', one);
        const wrong = store.manifests.put('a', absent, one.manifest.bytes);
        await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_INVALID' });
        const digest = sha512(one.manifest.bytes);
        await store.manifests.put('a', digest, one.manifest.bytes);
        expect((await store.manifests.get('a', digest)).bytes).toEqual(one.manifest.bytes);
        await expect(store.tags.list('a')).resolves.toEqual({ tags: [], more: false });
      });

      test('a manifest of more than 4 MiB is refused', async () => {
        const put = store.manifests.put('a', 'v1', Buffer.alloc(4 * 1024 * 1024 + 1, ' '));
        await expect(put).rejects.toMatchObject({ code: 'SIZE_INVALID' });
      });

      test('a deleted manifest takes along the tags that point to it, and no others', async () => {
        const [one, two] = [image({ seed: 1 }), image({ seed: 2 })];
        await pushImage(store, 'a', one, 'old');
        await pushImage(store, 'a', one, 'moved');
        await pushImage(store, 'a', two, 'moved');
        await pushImage(store, 'a', two, 'new');
        await store.manifests.delete('a', one.manifest.digest);
        for (const reference of ['old', one.manifest.digest]) {
          await expect(store.manifests.get('a', reference)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
        }
        expect(await store.tags.list('a')).toEqual({ tags: ['moved', 'new'], more: false });
        const again = store.manifests.delete('a', one.manifest.digest);
        await expect(again).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
        await store.blobs.stat('a', one.config.digest);
      });

      test('no tag is left without its manifest, however puts and deletes meet', async () => {
        const one = image();
        await pushImage(store, 'a', one, 'v0');
        for (let round = 0; round < 5; round += 1) {
          const puts = [1, 2, 3].map((tag) => store.manifests.put('a', `v${tag}`, one.manifest.bytes));
          const deletion = store.manifests.delete('a', one.manifest.digest).catch(() => undefined);
          await Promise.all([...puts, deletion, store.manifests.put('a', 'v4', one.manifest.bytes)]);
          for (const tag of (await store.tags.list('a')).tags) await store.manifests.get('a', tag);
        }
      });
    });

    describe('tags', () => {
      test('tags are listed in order, page by page; a position need not be a tag', async () => {
        const one = image();
        await pushImage(store, 'a', one);
        for (const tag of ['b', 'a', 'B', '1.10', '1.9', '_x', 'a-b']) {
          await store.manifests.put('a', tag, one.manifest.bytes);
        }
        const all = ['1.10', '1.9', 'B', '_x', 'a', 'a-b', 'b'];
        expect(await store.tags.list('a')).toEqual({ tags: all, more: false });
        expect(await store.tags.list('a', { limit: 3 })).toEqual({ tags: all.slice(0, 3), more: true });
        expect(await store.tags.list('a', { limit: 7 })).toEqual({ tags: all, more: false });
        expect(await store.tags.list('a', { after: 'B', limit: 2 })).toEqual({ tags: ['_x', 'a'], more: true });
        expect(await store.tags.list('a', { after: 'a!' })).toEqual({ tags: ['a-b', 'b'], more: false });
        expect(await store.tags.list('a', { limit: 0 })).toEqual({ tags: [], more: false });
      });

      test('a deleted tag leaves the manifest', async () => {
        const one = image();
        await pushImage(store, 'a', one, 'v1');
        await store.tags.delete('a', 'v1');
        await expect(store.tags.delete('a', 'v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
        await expect(store.manifests.get('a', 'v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
        await store.manifests.get('a', one.manifest.digest);
        expect(await store.tags.list('a')).toEqual({ tags: [], more: false });
      });

      test('a tag that points to nothing is neither listed nor found, and can be pushed', async () => {
        const one = image();
        await pushImage(store, 'a', one, 'v1');
        const folder = 'docker/registry/v2/repositories/a/_manifests/tags';
        await driver.put(
          `${folder}/v0/index/sha256/${one.manifest.digest.slice(7)}/link`,
          Buffer.from(one.manifest.digest),
        );
        await driver.put(`${folder}/v1/current/link`, Buffer.alloc(0));
        await driver.put(`${folder}/.odd/current/link`, Buffer.from(one.manifest.digest));
        expect(await store.tags.list('a')).toEqual({ tags: [], more: false });
        await expect(store.manifests.get('a', 'v1')).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
        await store.manifests.put('a', 'v1', one.manifest.bytes);
        expect(await store.tags.list('a')).toEqual({ tags: ['v1'], more: false });
      });

      test('a repository without manifests is unknown', async () => {
        await pushBlob(store, 'a', image().config);
        for (const name of ['a', 'none']) {
          await expect(store.tags.list(name)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' });
        }
      });
    });

    describe('catalog', () => {
      test('repositories are listed in order, page by page; a position need not be one', async () => {
        expect(await store.catalog.list()).toEqual({ repositories: [], more: false });
        const one = image({ layerSizes: [] });
        const all = ['a', 'a-b', 'a.b/c', 'a/b', 'a/b/c', 'ab', 'b/c', 'z'];
        for (const name of all.toReversed()) await pushImage(store, name, one, 'v1');
        await pushBlob(store, 'only/blobs', one.config);
        expect(await store.catalog.list()).toEqual({ repositories: all, more: false });
        for (let limit = 1; limit <= all.length; limit += 1) {
          const seen: string[] = [];
          for (let more = true, after = ''; more; after = seen.at(-1) ?? '') {
            const page = await store.catalog.list({ after, limit });
            expect(page.repositories.length).toBeLessThanOrEqual(limit);
            seen.push(...page.repositories);
            more = page.more;
          }
          expect(seen).toEqual(all);
        }
        expect(await store.catalog.list({ after: 'a/a', limit: 2 })).toEqual({
          repositories: ['a/b', 'a/b/c'],
          more: true,
        });
        expect(await store.catalog.list({ after: 'a/b' })).toMatchObject({ repositories: all.slice(4) });
        expect(await store.catalog.list({ limit: 0 })).toEqual({ repositories: [], more: false });
      });
    });

    describe('images', () => {
      const labels = { 'org.opencontainers.image.version': '1.4', team: 'web', __proto__x: '1' };

      test('a config leads to the manifests that have it, in that repository', async () => {
        const one = image({ labels });
        await pushImage(store, 'team/web', one, 'v1');
        await pushImage(store, 'other', one, 'v1');
        const known = { manifests: [one.manifest.digest], labels };
        expect(await store.images.describe('team/web', one.config.digest)).toEqual(known);
        expect(await store.images.describe('team/web', one.manifest.digest)).toEqual(known);
        await store.manifests.delete('other', one.manifest.digest);
        expect(await store.images.describe('other', one.config.digest)).toBeUndefined();
        expect(await store.images.describe('team', one.config.digest)).toBeUndefined();
        expect(await store.images.describe('team/web', absent)).toBeUndefined();
      });

      test('an index has the labels on which its images agree', async () => {
        const [one, two] = [image({ seed: 1, labels }), image({ seed: 2, labels: { team: 'web', other: 'x' } })];
        await pushImage(store, 'a', one);
        await pushImage(store, 'a', two);
        const list = index([one, two]);
        await store.manifests.put('a', 'v1', list.bytes);
        expect(await store.images.describe('a', list.digest)).toEqual({
          manifests: [list.digest],
          labels: { team: 'web' },
        });
      });

      test('a config that is no image’s has no labels', async () => {
        const config = blob('application/vnd.example', '[1,2');
        await pushBlob(store, 'a', config);
        const chart = image({ manifest: { config: descriptor(config), layers: [] } });
        await store.manifests.put('a', 'v1', chart.manifest.bytes);
        expect(await store.images.describe('a', config.digest)).toEqual({
          manifests: [chart.manifest.digest],
          labels: {},
        });
      });

      test('what another registry pushed is found, read at most once in the index’s age', async () => {
        const [one, two] = [image({ seed: 1, labels }), image({ seed: 2, labels })];
        for (const pushed of [one, two]) await pushImage(store, 'a', pushed, 'v1');
        await driver.delete('docker/registry/v2/_shiplog/index');
        expect(await store.images.describe('a', two.config.digest)).toMatchObject({ manifests: [two.manifest.digest] });
        // Reading for one config has noted the other one too.
        expect(await store.images.describe('a', one.config.digest)).toMatchObject({ manifests: [one.manifest.digest] });
        await driver.delete('docker/registry/v2/_shiplog/index');
        expect(await store.images.describe('a', one.config.digest)).toBeUndefined();
        const eager = await openStore({ driver, indexMaxAge: 0 });
        for (const pushed of [one, two]) {
          await driver.delete('docker/registry/v2/_shiplog/index');
          expect(await eager.images.describe('a', pushed.config.digest)).toMatchObject({ labels });
        }
      });
    });

    test('nothing from outside reaches a key unless it is a name, a tag or a digest', async () => {
      const { manifest } = image();
      const digest = manifest.digest;
      for (const name of ['', '..', 'a/../b', '/a', 'a/', 'a//b', 'A', '_x', 'a\0', 'a%2fb', 'é', 'a'.repeat(256)]) {
        const wrong = { code: 'NAME_INVALID' };
        await expect(store.blobs.stat(name, digest)).rejects.toMatchObject(wrong);
        await expect(store.blobs.mount('a', digest, { from: name, mayRead })).rejects.toMatchObject(wrong);
        await expect(store.uploads.create(name)).rejects.toMatchObject(wrong);
        await expect(store.manifests.put(name, 'v1', manifest.bytes)).rejects.toMatchObject(wrong);
        await expect(store.tags.list(name)).rejects.toMatchObject(wrong);
        await expect(store.images.describe(name, digest)).rejects.toMatchObject(wrong);
      }
      for (const tag of ['', '.', '..', '.a', '-a', 'a/b', 'a\n', 'a'.repeat(129)]) {
        const wrong = { code: 'TAG_INVALID' };
        await expect(store.manifests.get('a', tag)).rejects.toMatchObject(wrong);
        await expect(store.tags.delete('a', tag)).rejects.toMatchObject(wrong);
      }
      for (const odd of ['sha256:', 'md5:0', `sha256:${'A'.repeat(64)}`, `${digest}\n`, `sha256:../${digest}`, 'x:y']) {
        const wrong = { code: 'DIGEST_INVALID' };
        await expect(store.blobs.open('a', odd)).rejects.toMatchObject(wrong);
        await expect(store.manifests.get('a', odd)).rejects.toMatchObject(wrong);
        await expect(store.images.describe('a', odd)).rejects.toMatchObject(wrong);
      }
    });
  });
}
