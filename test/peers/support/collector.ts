import { expect, test } from 'vitest';
import { parseDigest } from '../../../storage/digest.ts';
import { blobKey, layerLink } from '../../../storage/layout.ts';
import { parseName } from '../../../storage/names.ts';
import { startServer } from '../../support/server.ts';
import { Api } from './api.ts';
import type { Distribution } from './distribution.ts';
import { name, pushEverything } from './everything.ts';
import type { Ground } from './ground.ts';
import { walk } from './walk.ts';

/** What `after` lacks; that all the rest is as before, it asserts. */
export function taken(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  expect([...before].filter(([path]) => after.has(path))).toEqual([...after]);
  return [...before.keys()].filter((path) => !after.has(path)).toSorted();
}

/** What holds for the garbage collector of any release. */
export function testCollector(
  release: Distribution,
  { open, removesLinks }: { open: () => Promise<Ground>; removesLinks: boolean },
): void {
  test('it takes what nothing refers to, and nothing else', async () => {
    await using ground = await open();
    await using server = await startServer(ground.settings);
    const registry = new Api(server);
    const { garbage, upload, subject } = await pushEverything(registry);
    const [served, tree] = [await walk(server.url), await ground.read()];
    const referrers = await registry.referrers(name, subject.digest);
    expect(referrers).toHaveLength(3);

    await release.collect(ground);
    const digests = garbage.map(({ digest }) => parseDigest(digest));
    const links = digests.map((digest) => layerLink(parseName(name), digest)).filter((link) => tree.has(link));
    expect(links.length).toBeGreaterThan(2);
    expect(taken(tree, await ground.read())).toEqual(
      [...digests.map(blobKey), ...(removesLinks ? links : [])].toSorted(),
    );
    expect(await walk(server.url)).toEqual(served);
    expect(await registry.referrers(name, subject.digest)).toEqual(referrers);
    // What it took is not there, though a link may say so, and can be pushed again.
    for (const one of garbage) {
      expect(await registry.find(`/v2/${name}/blobs/${one.digest}`)).toBeUndefined();
      await registry.blob(name, one);
      expect(await registry.find(`/v2/${name}/blobs/${one.digest}`)).toMatchObject({ bytes: one.bytes });
    }
    const { digest } = upload.content;
    expect(await registry.call('PUT', `${upload.location}?digest=${digest}`)).toMatchObject({ status: 201 });
  });
}
