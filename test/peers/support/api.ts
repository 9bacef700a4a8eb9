import { expect } from 'vitest';
import type { TestBlob, TestImage } from '../../support/images.ts';
import { manifestTypes } from './walk.ts';

/** An answer, read to its end. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** What is asked of a registry, whoever made it. What pushes and deletes fails the test where it is refused. */
export class Api {
  readonly #url: string;

  constructor({ url }: { readonly url: string }) {
    this.#url = url;
  }

  async call(method: string, path: string, body?: Uint8Array<ArrayBuffer>, type?: string): Promise<ApiAnswer> {
    const headers = { accept: manifestTypes.join(', '), ...(type !== undefined && { 'content-type': type }) };
    const answer = await fetch(new URL(path, this.#url), { method, headers, ...(body && { body }) });
    return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
  }

  /** Pushes a blob by POST and PUT, under another digest than its own if one is given. */
  async blob(name: string, { bytes, digest }: TestBlob, as = digest): Promise<void> {
    const { headers } = await this.#expect(202, 'POST', `/v2/${name}/blobs/uploads/`);
    const place = new URL(headers.get('location') ?? '', this.#url);
    place.searchParams.set('digest', as);
    await this.#expect(201, 'PUT', place.href, bytes, 'application/octet-stream');
  }

  async mount(name: string, { digest }: TestBlob, from: string): Promise<void> {
    await this.#expect(201, 'POST', `/v2/${name}/blobs/uploads/?mount=${digest}&from=${from}`);
  }

  /** Pushes a manifest under a tag, or by its digest where none is given. */
  async manifest(name: string, { bytes, digest, mediaType }: TestBlob, reference = digest): Promise<void> {
    await this.#expect(201, 'PUT', `/v2/${name}/manifests/${reference}`, bytes, mediaType);
  }

  async image(name: string, { config, layers, manifest }: TestImage, reference = manifest.digest): Promise<void> {
    for (const blob of [config, ...layers]) await this.blob(name, blob);
    await this.manifest(name, manifest, reference);
  }

  async deleteManifest(name: string, reference: string): Promise<void> {
    await this.#expect(202, 'DELETE', `/v2/${name}/manifests/${reference}`);
  }

  async deleteBlob(name: string, { digest }: TestBlob): Promise<void> {
    await this.#expect(202, 'DELETE', `/v2/${name}/blobs/${digest}`);
  }

  /** A manifest or blob as it is served; undefined: it is not there. HEAD and GET must agree. */
  async find(path: string): Promise<TestBlob | undefined> {
    const [head, { status, headers, body }] = [await this.call('HEAD', path), await this.call('GET', path)];
    expect(head.status, `HEAD and GET ${path}`).toBe(status);
    if (status === 404) return undefined;
    expect(status, `GET ${path}: ${body.toString('latin1', 0, 1000)}`).toBe(200);
    expect(head.headers.get('docker-content-digest'), path).toBe(headers.get('docker-content-digest'));
    const [mediaType, digest] = [headers.get('content-type') ?? '', headers.get('docker-content-digest') ?? ''];
    return { mediaType, digest, bytes: Buffer.from(body) };
  }

  /** The tags of a repository, in order. */
  async tags(name: string): Promise<string[]> {
    const { body } = await this.#expect(200, 'GET', `/v2/${name}/tags/list`);
    const tags: string[] = JSON.parse(String(body)).tags ?? [];
    return tags.toSorted();
  }

  /** Digests of what refers to a manifest, in order. */
  async referrers(name: string, digest: string): Promise<string[]> {
    const { body } = await this.#expect(200, 'GET', `/v2/${name}/referrers/${digest}`);
    const manifests: { digest: string }[] = JSON.parse(String(body)).manifests;
    return manifests.map((manifest) => manifest.digest).toSorted();
  }

  async #expect(
    status: number,
    method: string,
    path: string,
    body?: Uint8Array<ArrayBuffer>,
    type?: string,
  ): Promise<ApiAnswer> {
    const answer = await this.call(method, path, body, type);
    expect(answer.status, `${method} ${path}: ${answer.body.toString('latin1', 0, 1000)}`).toBe(status);
    return answer;
  }
}
