import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Driver } from '../../../storage/driver.ts';
import { openStore, type Store } from '../../../storage/store.ts';
import { blob, descriptor, image, pushBlob, pushImage } from '../../support/images.ts';
import type { Backend } from '../backends.ts';

const layer = blob('application/vnd.oci.image.layer.v1.tar', 'a layer');

/** Blobs of other repositories, and several tags at once. */
export function mountsSuite(kind: string, open: () => Promise<Backend>): void {
  describe(kind, () => {
    let backend: Backend;
    let driver: Driver;
    let store: Store;
    const only =
      (...names: string[]) =>
      (name: string): boolean =>
        names.includes(name);

    beforeEach(async () => {
      backend = await open();
      driver = backend.driver;
      store = await openStore({ driver, indexMaxAge: 60_000 });
      // The catalog has repositories with manifests alone.
      await pushImage(store, 'a', image({ seed: 1 }), 'v1');
      await pushImage(store, 'b', image({ seed: 2 }), 'v1');
      await pushBlob(store, 'b', layer);
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    });

    /** A process that knows nothing of what was pushed. */
    const another = async (): Promise<Store> => openStore({ driver, indexMaxAge: 60_000 });

    test.each(['this', 'another'])(
      'a blob is found without its repository by %s process, where it may be read',
      async (process) => {
        const other = process === 'this' ? store : await another();
        expect(await other.blobs.mount('c', layer.digest, { mayRead: only('a', 'c') })).toBe(false);
        await expect(store.blobs.stat('c', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
        expect(await other.blobs.mount('c', layer.digest, { mayRead: only('b') })).toBe(true);
        expect(await store.blobs.stat('c', layer.digest)).toEqual({ digest: layer.digest, size: layer.bytes.length });
      },
    );

    test.each(['this', 'another'])(
      'a repository that may not be read gives nothing, also if it is named, by %s process',
      async (process) => {
        const other = process === 'this' ? store : await another();
        expect(await other.blobs.mount('c', layer.digest, { from: 'b', mayRead: only('a', 'c') })).toBe(false);
        await expect(store.blobs.stat('c', layer.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
      },
    );

    test('a repository that lost it is not believed to have it', async () => {
      await store.blobs.delete('b', layer.digest);
      expect(await store.blobs.mount('c', layer.digest, { mayRead: () => true })).toBe(false);
    });

    test('a blob is found in the last of many repositories', async () => {
      for (let n = 0; n < 200; n += 1)
        await pushImage(store, `many/${String(n).padStart(3, '0')}`, image({ seed: 1 }), 'v1');
      await pushImage(store, 'z', image({ seed: 3 }), 'v1');
      const [first] = image({ seed: 3 }).layers;
      expect(await (await another()).blobs.mount('c', first?.digest ?? '', { mayRead: () => true })).toBe(true);
    });

    test('a manifest may name blobs of repositories that the caller may read; they are linked here', async () => {
      const one = image({ seed: 2 });
      const put = async (mayRead?: (name: string) => boolean) =>
        store.manifests.put('c', 'v1', one.manifest.bytes, mayRead === undefined ? {} : { mayRead });
      const missing = [one.config, ...one.layers].map(({ digest }) => digest);
      await expect(put()).rejects.toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: missing });
      await expect(put(only('a', 'c'))).rejects.toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: missing });
      await put(only('b'));
      for (const digest of missing) expect((await store.blobs.stat('c', digest)).digest).toBe(digest);
      // They are its own from then on.
      await store.blobs.delete('b', one.config.digest);
      expect((await store.blobs.stat('c', one.config.digest)).digest).toBe(one.config.digest);
    });

    test('the blobs that a manifest lacks share one search', async () => {
      for (let n = 0; n < 40; n += 1) await pushImage(store, `more/${n}`, image({ seed: 1 }), 'v1');
      const layers = Array.from({ length: 100 }, (_, n) => blob(layer.mediaType, `layer ${n}`));
      for (const one of layers) {
        await pushBlob(store, 'b', one);
        // Its bytes are there, and no repository has it.
        await store.blobs.delete('b', one.digest);
      }
      const get = vi.spyOn(driver, 'get');
      const { config } = image({ seed: 1 });
      const manifest = { schemaVersion: 2, config: descriptor(config), layers: layers.map(descriptor) };
      const put = store.manifests.put('a', 'v2', Buffer.from(JSON.stringify(manifest)), { mayRead: () => true });
      await expect(put).rejects.toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN' });
      // Each of 100 in each of 42 would be 4,200.
      expect(get.mock.calls.length).toBeLessThan(3500);
    });

    test('a manifest is put under several tags at once', async () => {
      const { digest, bytes } = image({ seed: 1 }).manifest;
      await store.manifests.put('a', digest, bytes, { tags: ['x', 'y', 'x'] });
      await store.manifests.put('a', 'z', bytes, { tags: ['w'] });
      expect((await store.tags.list('a')).tags).toEqual(['v1', 'w', 'x', 'y', 'z']);
      for (const tag of ['w', 'x', 'y', 'z']) expect((await store.manifests.get('a', tag)).digest).toBe(digest);
      await expect(store.manifests.put('a', digest, bytes, { tags: ['-'] })).rejects.toMatchObject({
        code: 'TAG_INVALID',
      });
    });
  });
}
