import { z } from 'zod';
import { type Digest, digestOf, isDigest, splitDigest } from '../../storage/digest.ts';
import { manifestLimit } from '../../storage/manifest.ts';
import { isByDigest, type Reference, type RepositoryName, type Tag } from '../../storage/names.ts';
import { ask, type ClientOptions } from './client.ts';
import { CommandError } from './command.ts';

/** A manifest or an index, and the digest by which the registry knows it, which was checked. */
export interface FetchedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** What a server points to is on it, wherever it says that is. */
const anyHost = 'http://localhost';

/** All repositories, in order, read page by page. @throws {CommandError} */
export function listRepositories(server: ClientOptions): AsyncIterable<string> {
  const page = z.object({ repositories: z.array(z.string()) });
  return pages('/v2/_catalog', server, (body) => page.parse(body).repositories);
}

/** A repository of a running server, over HTTP. Every call can fail with a CommandError. */
export class Repository {
  readonly name: RepositoryName;
  readonly #server: ClientOptions;

  constructor(name: RepositoryName, server: ClientOptions) {
    this.name = name;
    this.#server = server;
  }

  /** All tags, in order, read page by page. */
  tags(): AsyncIterable<string> {
    const page = z.object({ tags: z.array(z.string()) });
    return pages(`/v2/${this.name}/tags/list`, this.#server, (body) => page.parse(body).tags);
  }

  /** Undefined: there is none. */
  async manifest(reference: Reference): Promise<FetchedManifest | undefined> {
    const answer = await this.#ask(`manifests/${reference}`, { also: [404] });
    if (answer.status === 404) return dismiss(answer);
    const bytes = await readWhole(answer, manifestLimit);
    const named = isByDigest(reference) ? reference : answer.headers.get('docker-content-digest');
    const algorithm = named !== null && isDigest(named) ? splitDigest(named).algorithm : 'sha256';
    const digest = digestOf(bytes, algorithm);
    if (named !== digest) throw new CommandError(`the manifest ${named} came as ${digest}: it is damaged`);
    return { digest, mediaType: answer.headers.get('content-type') ?? '', bytes };
  }

  /** The digest that a tag points to; undefined: there is no such tag. */
  async resolve(tag: Reference): Promise<string | undefined> {
    const answer = await this.#ask(`manifests/${tag}`, { method: 'HEAD', also: [404] });
    return answer.ok ? (answer.headers.get('docker-content-digest') ?? undefined) : undefined;
  }

  /** The bytes as they come, which are not checked. Undefined: there is no such blob. */
  async blob(digest: Digest): Promise<AsyncIterable<Uint8Array> | undefined> {
    let answer = await this.#ask(`blobs/${digest}`, { also: [307, 404] });
    if (answer.status === 404) return dismiss(answer);
    if (answer.status === 307) {
      // To the bucket: whoever has this URL may read, and needs no log-in.
      await dismiss(answer);
      answer = await readBucket(answer.headers.get('location') ?? '');
    }
    return answer.body ?? (async function* () {})();
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    return (await this.#ask(`blobs/${digest}`, { method: 'HEAD', also: [404] })).ok;
  }

  /** Sends a blob of `size` bytes, whose digest the registry checks. */
  async pushBlob(digest: Digest, size: number, body: AsyncIterable<Uint8Array>): Promise<void> {
    const session = await this.#ask('blobs/uploads/', { method: 'POST' });
    await dismiss(session);
    const { pathname, searchParams } = new URL(session.headers.get('location') ?? '', anyHost);
    searchParams.set('digest', digest);
    const headers = { 'content-length': String(size), 'content-type': 'application/octet-stream' };
    await dismiss(await ask(`${pathname}?${String(searchParams)}`, this.#server, { method: 'PUT', headers, body }));
  }

  /** Puts a manifest under its digest, and under some tags with it. */
  async pushManifest({ digest, mediaType, bytes }: FetchedManifest, tags: readonly Tag[]): Promise<void> {
    const query = tags.map((tag) => `tag=${tag}`).join('&');
    const headers = { 'content-type': mediaType };
    await dismiss(await this.#ask(`manifests/${digest}?${query}`, { method: 'PUT', headers, body: bytes }));
  }

  /** Removes a tag, or a manifest and its tags. False: it is not there. */
  async delete(reference: Reference): Promise<boolean> {
    const answer = await this.#ask(`manifests/${reference}`, { method: 'DELETE', also: [404] });
    await dismiss(answer);
    return answer.ok;
  }

  #ask(path: string, request: Parameters<typeof ask>[2]): Promise<Response> {
    return ask(`/v2/${this.name}/${path}`, this.#server, request);
  }
}

/** The entries of a list, which goes on where its `Link` says (RFC 8288; OCI distribution-spec, "Listing Tags"). */
async function* pages(
  first: string,
  server: ClientOptions,
  read: (body: unknown) => readonly string[],
): AsyncGenerator<string, void, void> {
  for (let path: string | undefined = first; path !== undefined;) {
    const answer: Response = await ask(path, server);
    let entries: readonly string[];
    try {
      entries = read(await answer.json());
    } catch (cause) {
      throw new CommandError(`the server answers something that is no list; is that a shiplog?`, { cause });
    }
    yield* entries;
    const link: string | undefined = /<([^>]*)>; *rel="?next"?/.exec(answer.headers.get('link') ?? '')?.[1];
    const next: URL | undefined = link === undefined ? undefined : new URL(link, new URL(path, anyHost));
    path = next && next.pathname + next.search;
  }
}

async function readBucket(url: string): Promise<Response> {
  const answer = await fetch(url).catch((error: unknown) => {
    const { cause } = error instanceof Error ? error : {};
    throw new CommandError(`the bucket that the registry leads to does not answer: ${String(cause ?? error)}`, {
      cause,
    });
  });
  if (!answer.ok) throw new CommandError(`the bucket that the registry leads to answers ${answer.status}`);
  return answer;
}

/** All bytes of something. @throws {CommandError} where it has more than `limit` of them. */
export async function readWhole(
  { body }: { body: AsyncIterable<Uint8Array> | null },
  limit: number,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > limit) throw new CommandError(`the server answers with more than the ${limit} bytes that there can be`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Frees the connection of an answer whose body nobody wants. */
async function dismiss(answer: Response): Promise<undefined> {
  await answer.body?.cancel();
}
