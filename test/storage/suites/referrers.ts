import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Driver } from '../../../storage/driver.ts';
import { openStore, type Store } from '../../../storage/store.ts';
import { blob, descriptor, image, index, pushBlob, pushImage, sha512, type TestBlob } from '../../support/images.ts';
import type { Backend } from '../backends.ts';

const emptyConfig = blob('application/vnd.oci.empty.v1+json', '{}');

/** An artifact that refers to a subject. */
function artifact(subject: TestBlob, type: string, more: object = {}): TestBlob {
  return blob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: type,
    config: descriptor(emptyConfig),
    layers: [descriptor(emptyConfig)],
    subject: descriptor(subject),
    ...more,
  });
}

/** Manifests by their subject. */
export function referrersSuite(kind: string, open: () => Promise<Backend>): void {
  describe(kind, () => {
    let backend: Backend;
    let driver: Driver;
    let store: Store;
    const subject = image();

    beforeEach(async () => {
      backend = await open();
      driver = backend.driver;
      store = await openStore({ driver, indexMaxAge: 60_000 });
      await pushImage(store, 'team/web', subject, 'v1');
      await pushBlob(store, 'team/web', emptyConfig);
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    });

    const put = (one: TestBlob, reference = one.digest): Promise<unknown> =>
      store.manifests.put('team/web', reference, one.bytes);
    const list = async (page: { after?: string; limit?: number; artifactType?: string } = {}, of = subject.manifest) =>
      store.referrers.list('team/web', of.digest, { limit: 100, ...page });
    const digests = async (page = {}, of = subject.manifest): Promise<string[]> =>
      (await list(page, of)).referrers.map(({ digest }) => digest);

    test('nothing refers to what nothing refers to, whether it is there or not', async () => {
      expect(await list()).toEqual({ referrers: [], more: false });
      expect(await store.referrers.list('never/seen', sha512(Buffer.from('x')), { limit: 9 })).toEqual({
        referrers: [],
        more: false,
      });
    });

    test('an artifact, an image and an index are listed with their type and annotations', async () => {
      const signature = artifact(subject.manifest, 'test/signature', { annotations: { by: 'ci' } });
      // An image has the type of its config, and an index without a type has none.
      const other = image({ seed: 2, manifest: { subject: descriptor(subject.manifest) } });
      const many = blob('application/vnd.oci.image.index.v1+json', {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [],
        subject: descriptor(subject.manifest),
      });
      await put(signature);
      await pushImage(store, 'team/web', other);
      await put(many, 'list');
      const expected = [
        { ...descriptor(signature), artifactType: 'test/signature', annotations: { by: 'ci' } },
        { ...descriptor(other.manifest), artifactType: other.config.mediaType },
        descriptor(many),
      ];
      expect((await list()).referrers).toEqual(expected.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)));
      expect(await digests({ artifactType: 'test/signature' })).toEqual([signature.digest]);
      expect(await digests({ artifactType: '' })).toEqual([many.digest]);
      expect(await digests({ artifactType: 'test/other' })).toEqual([]);
    });

    test('what is deleted is not listed any more, and what is only in another repository never was', async () => {
      const [one, other] = [artifact(subject.manifest, 'test/a'), artifact(subject.manifest, 'test/b')];
      await put(one, 'tagged');
      await put(other);
      await pushBlob(store, 'elsewhere', emptyConfig);
      await store.manifests.put('elsewhere', 'v1', artifact(subject.manifest, 'test/c').bytes);
      await store.manifests.delete('team/web', one.digest);
      expect(await digests()).toEqual([other.digest]);
      const links: string[] = [];
      for await (const { key } of driver.walk('docker/registry/v2/_shiplog/index/subjects')) links.push(key);
      expect(links.filter((key) => key.includes(one.digest.slice(7)))).toEqual([]);
      expect(links.filter((key) => key.includes(other.digest.slice(7)))).toHaveLength(1);
      await put(one);
      expect(await digests()).toEqual([one.digest, other.digest].toSorted());
    });

    test('the list outlives its subject, and may come before it', async () => {
      const late = image({ seed: 9 });
      const one = artifact(late.manifest, 'test/early');
      await put(one);
      expect(await digests({}, late.manifest)).toEqual([one.digest]);
      await pushImage(store, 'team/web', late);
      await store.manifests.delete('team/web', late.manifest.digest);
      expect(await digests({}, late.manifest)).toEqual([one.digest]);
    });

    test('pages of any size give all of them once, in order', async () => {
      const all = Array.from({ length: 20 }, (_, n) =>
        artifact(subject.manifest, n % 2 === 0 ? 'test/even' : 'test/odd', { annotations: { n: String(n) } }),
      );
      for (const one of all) await put(one);
      for (const limit of [1, 3, 8, 10, 19, 20, 21]) {
        for (const artifactType of [undefined, 'test/odd']) {
          const found: string[] = [];
          let more = true;
          while (more) {
            const after = found.at(-1);
            const page = await list({
              limit,
              ...(after !== undefined && { after }),
              ...(artifactType !== undefined && { artifactType }),
            });
            expect(page.referrers.length).toBeLessThanOrEqual(limit);
            if (page.more) expect(page.referrers).toHaveLength(limit);
            found.push(...page.referrers.map(({ digest }) => digest));
            more = page.more;
          }
          const wanted = all.filter((_, n) => artifactType === undefined || n % 2 === 1);
          expect(found).toEqual(wanted.map(({ digest }) => digest).toSorted());
        }
      }
      expect(await list({ limit: 0 })).toEqual({ referrers: [], more: false });
    });

    test('a page ends before its descriptors are more than clients read', async () => {
      const annotations = { big: 'x'.repeat(900_000) };
      for (let n = 0; n < 6; n += 1) await put(artifact(subject.manifest, `test/${n}`, { annotations }));
      const { referrers, more } = await list();
      expect(JSON.stringify(referrers).length).toBeLessThan(4 * 1024 * 1024);
      expect([referrers.length, more]).toEqual([3, true]);
    });

    test('what clients listed under the fallback tag is listed too, if it is there and refers to the subject', async () => {
      const { algorithm, hex } = { algorithm: 'sha256', hex: subject.manifest.digest.slice(7) };
      const [listed, unlisted, gone] = ['a', 'b', 'c'].map((type) => artifact(subject.manifest, `test/${type}`));
      const stranger = image({ seed: 4 });
      if (listed === undefined || unlisted === undefined || gone === undefined) throw new Error('three');
      for (const one of [listed, unlisted, gone]) await put(one);
      await pushImage(store, 'team/web', stranger);
      const entries = [listed, gone, stranger.manifest].map((manifest) => ({ manifest, config: manifest, layers: [] }));
      await put(index(entries), `${algorithm}-${hex}`);
      // As if a registry without such lists had stored them all.
      await driver.delete('docker/registry/v2/_shiplog/index/subjects');
      await store.manifests.delete('team/web', gone.digest);
      expect(await digests()).toEqual([listed.digest]);
    });

    test('of a sha512 subject the fallback tag has the first 64 digits', async () => {
      const digest = sha512(subject.manifest.bytes);
      await store.manifests.put('team/web', digest, subject.manifest.bytes);
      const one = artifact({ ...subject.manifest, digest }, 'test/a');
      await put(one);
      await put(index([{ manifest: one, config: one, layers: [] }]), `sha512-${digest.slice(7, 71)}`);
      await driver.delete('docker/registry/v2/_shiplog/index/subjects');
      expect(await digests({}, { ...subject.manifest, digest })).toEqual([one.digest]);
    });
  });
}
