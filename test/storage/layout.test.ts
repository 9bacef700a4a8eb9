import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore } from '../../storage/store.ts';
import { image, index, pushImage } from '../support/images.ts';

test('on disk lies what registry:2 would have made of a push, byte for byte, and one hint beside it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'storage-layout-'));
  try {
    await using store = await openStore({ driver: await openDisk({ root }), indexMaxAge: 0 });
    const pushed = image({ layerSizes: [1000] });
    await pushImage(store, 'team/web', pushed, 'v1');
    const list = index([pushed]);
    await store.manifests.put('team/web', 'all', list.bytes);

    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const files = new Map<string, string>();
    for (const entry of entries.filter((entry) => entry.isFile())) {
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(root.length + 1), await readFile(path, 'latin1'));
    }

    const [layer, config, manifest, listed] = [pushed.layers[0] ?? list, pushed.config, pushed.manifest, list].map(
      ({ digest, bytes }) => ({ digest, bytes: bytes.toString('latin1'), hex: digest.slice(7) }),
    );
    if (!layer || !config || !manifest || !listed) throw new Error('the image lacks a part');
    const blobs = 'docker/registry/v2/blobs/sha256';
    const repository = 'docker/registry/v2/repositories/team/web';
    const hints = 'docker/registry/v2/_shiplog/index/configs/sha256';
    const expected = new Map([
      ...[layer, config, manifest, listed].map(
        ({ hex, bytes }) => [`${blobs}/${hex.slice(0, 2)}/${hex}/data`, bytes] as const,
      ),
      ...[layer, config].map(({ hex, digest }) => [`${repository}/_layers/sha256/${hex}/link`, digest] as const),
      ...[manifest, listed].map(
        ({ hex, digest }) => [`${repository}/_manifests/revisions/sha256/${hex}/link`, digest] as const,
      ),
      [`${repository}/_manifests/tags/v1/current/link`, manifest.digest],
      [`${repository}/_manifests/tags/v1/index/sha256/${manifest.hex}/link`, manifest.digest],
      [`${repository}/_manifests/tags/all/current/link`, listed.digest],
      [`${repository}/_manifests/tags/all/index/sha256/${listed.hex}/link`, listed.digest],
      [`${hints}/${config.hex}/team/web/_manifests/sha256/${manifest.hex}/link`, manifest.digest],
    ]);
    expect(files).toEqual(expected);
  } finally {
    await rm(root, { recursive: true });
  }
});
