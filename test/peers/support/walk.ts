import { expect } from 'vitest';
import { sha256, sha512 } from '../../support/images.ts';

/** The kinds of manifests that registries keep. */
export const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

/**
 * Everything that a registry serves, found from its catalog: each list, each manifest by tag and by digest, each blob
 * that these name. Path → what was answered (for content: its digest, type and length, as header and as received).
 */
export async function walk(url: string): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();

  async function list(path: string, key: 'repositories' | 'tags'): Promise<string[]> {
    const answer = await fetch(url + path);
    expect(answer.status, path).toBe(200);
    const entries: string[] = JSON.parse(await answer.text())[key];
    found.set(path, entries.toSorted());
    return entries;
  }

  async function content(path: string): Promise<{ bytes: Buffer; digest: string }> {
    const accept = manifestTypes.join(', ');
    const [head, answer] = [
      await fetch(url + path, { method: 'HEAD', headers: { accept } }),
      await fetch(url + path, { headers: { accept } }),
    ];
    const bytes = Buffer.from(await answer.arrayBuffer());
    const said = answer.headers.get('docker-content-digest') ?? '';
    const received = { digest: said.startsWith('sha512:') ? sha512(bytes) : sha256(bytes), length: bytes.length };
    for (const { status, headers } of [head, answer]) {
      expect(status, path).toBe(200);
      expect(headers.get('docker-content-digest'), path).toBe(received.digest);
      expect(headers.get('content-length'), path).toBe(String(received.length));
    }
    expect(head.headers.get('content-type'), path).toBe(answer.headers.get('content-type'));
    found.set(path, { ...received, type: answer.headers.get('content-type') });
    return { bytes, digest: received.digest };
  }

  async function manifest(name: string, reference: string): Promise<void> {
    const path = `/v2/${name}/manifests/${reference}`;
    if (found.has(path)) return;
    const { bytes, digest } = await content(path);
    const { config, layers = [], manifests = [] } = JSON.parse(String(bytes));
    await manifest(name, digest);
    for (const { mediaType, digest } of manifests) {
      // A build cache lists layers.
      await (manifestTypes.includes(mediaType) ? manifest(name, digest) : content(`/v2/${name}/blobs/${digest}`));
    }
    for (const { digest, urls } of config === undefined ? [] : [config, ...layers]) {
      // A layer with URLs is elsewhere.
      if (urls === undefined) await content(`/v2/${name}/blobs/${digest}`);
    }
  }

  for (const name of await list('/v2/_catalog', 'repositories')) {
    for (const tag of await list(`/v2/${name}/tags/list`, 'tags')) await manifest(name, tag);
  }
  return found;
}
