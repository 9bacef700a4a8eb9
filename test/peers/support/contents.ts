import { expect } from 'vitest';
import { digestOf } from '../../../storage/digest.ts';
import type { Shiplog } from './shiplog.ts';

/** Descriptors in a manifest, and what is told of them. */
interface Document {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string; readonly urls?: readonly string[] }[];
  readonly manifests?: readonly { readonly digest: string; readonly mediaType: string }[];
}

const manifestType = /manifest|image\.index/;

/**
 * All that an image is made of, as the registry serves it: digest → bytes, verified; the image's own is the first.
 * Layers that are fetched elsewhere (`urls`) are none of it.
 */
export async function contents(shiplog: Shiplog, repository: string, reference: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();

  async function get(path: string, digest?: string): Promise<Buffer> {
    const answer = await shiplog.fetch(`/v2/${repository}/${path}`, { headers: { accept: '*/*' } });
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(answer.status, path).toBe(200);
    expect(answer.headers.get('docker-content-digest'), path).toBe(digestOf(bytes));
    if (digest !== undefined) expect(digestOf(bytes)).toBe(digest);
    found.set(digestOf(bytes), bytes);
    return bytes;
  }

  async function manifest(reference: string, digest?: string): Promise<void> {
    const document: Document = JSON.parse(String(await get(`manifests/${reference}`, digest)));
    const { config, layers = [], manifests = [] } = document;
    for (const child of manifests) {
      if (manifestType.test(child.mediaType)) await manifest(child.digest, child.digest);
      else await get(`blobs/${child.digest}`, child.digest);
    }
    const blobs = [...(config === undefined ? [] : [config]), ...layers.filter(({ urls }) => urls === undefined)];
    for (const { digest } of blobs) await get(`blobs/${digest}`, digest);
  }

  await manifest(reference);
  return found;
}

/** The digest of what a tag points to; undefined: there is no such tag. */
export async function digestAt(shiplog: Shiplog, repository: string, tag: string): Promise<string | undefined> {
  const answer = await shiplog.fetch(`/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept: '*/*' },
  });
  if (answer.status === 404) return undefined;
  expect(answer.status).toBe(200);
  return answer.headers.get('docker-content-digest') ?? '';
}

/** The digests of what is attached to a manifest. */
export async function referrers(shiplog: Shiplog, repository: string, digest: string): Promise<string[]> {
  const answer = await shiplog.fetch(`/v2/${repository}/referrers/${digest}`);
  expect(answer.status).toBe(200);
  const { manifests } = JSON.parse(await answer.text());
  return manifests.map((found: { digest: string }) => found.digest).toSorted();
}
