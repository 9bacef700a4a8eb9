import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { BlockList } from 'node:net';
import { everything } from '../../src/auth/authorize.ts';
import { createApp } from '../../src/http/app.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { listenHttp } from '../../src/http/server.ts';
import type { Rights } from '../../src/http/state.ts';
import { openLog } from '../../src/log.ts';
import type { Accel } from '../../src/registry/blobs.ts';
import { registryApi } from '../../src/registry/router.ts';
import { digestOf } from '../../storage/digest.ts';
import { openDisk } from '../../storage/drivers/disk.ts';
import { openStore, type Store } from '../../storage/store.ts';
import { FaultyFileSystem } from './faulty-fs.ts';

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  /** The text of the status line. */
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The code of the first error in the body; undefined: the body has not the shape of an error. */
  readonly code: string | undefined;
}

/** What is sent. */
export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  /** An iterable goes out chunked. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** The registry API over real HTTP, on a disk that is a model in memory. */
export interface Registry extends AsyncDisposable {
  readonly port: number;
  readonly store: Store;
  readonly disk: FaultyFileSystem;
  /** Lines of its log. */
  readonly logged: Record<string, unknown>[];
  /** Sends a path as it stands, unlike fetch, which would tidy it. */
  call(method: string, path: string, call?: Call): Promise<Answer>;
  /** Stores a blob and answers its digest. */
  blob(name: string, bytes: string | Uint8Array): Promise<string>;
  /** Stores an image of one config and the layers given, and answers its manifest. */
  image(name: string, reference: string, layers?: readonly string[]): Promise<{ digest: string; bytes: Buffer }>;
}

/** Starts a registry on a port of its own. */
export async function startRegistry(
  options: {
    delete?: boolean;
    readOnly?: boolean;
    freeSpaceReserve?: number;
    rights?: Rights;
    idleTimeout?: number;
    accel?: Accel;
  } = {},
): Promise<Registry> {
  const disk = new FaultyFileSystem({ seed: 1 });
  const driver = await openDisk({ root: '/registry', fileSystem: disk });
  const store = await openStore({
    driver,
    indexMaxAge: 60_000,
    freeSpaceReserve: options.freeSpaceReserve ?? 0,
  });
  const logged: Record<string, unknown>[] = [];
  const log = openLog({ write: (line) => void logged.push(JSON.parse(line)) });
  const app = createApp({
    log,
    metrics: createMetrics(),
    trustedProxies: new BlockList(),
    mount: (app) => {
      app.use(async (ctx, next) => {
        ctx.state.rights = options.rights ?? everything('ci');
        await next();
      });
      const { delete: deletes = true, readOnly = false, accel } = options;
      app.use(registryApi({ store, delete: deletes, readOnly, accel }));
    },
  });
  const listen = { host: '127.0.0.1', port: 0 };
  const server = await listenHttp(app, { listen, idleTimeout: options.idleTimeout ?? 60_000, shutdownGrace: 0, log });
  const { port } = server.address;

  const registry: Registry = {
    port,
    store,
    disk,
    logged,
    call: (method, path, options) => call(port, method, path, options),
    async blob(name, bytes) {
      const digest = digestOf(Buffer.from(bytes));
      const answer = await registry.call('POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, { body: bytes });
      if (answer.status !== 201) throw new Error(`${answer.status} ${String(answer.body)}`);
      return digest;
    },
    async image(name, reference, layers = ['layer']) {
      const config = `{"architecture":"amd64","os":"linux","config":{"Labels":{"of":"${name}"}}}`;
      const manifest = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: await descriptor('application/vnd.oci.image.config.v1+json', config),
        layers: await Promise.all(layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar', layer))),
      };
      async function descriptor(mediaType: string, content: string): Promise<object> {
        return { mediaType, digest: await registry.blob(name, content), size: Buffer.byteLength(content) };
      }
      // Written as a client may write it, so that nothing but a byte for byte copy gives it back.
      const bytes = Buffer.from(`${JSON.stringify(manifest, null, 3)}\n`);
      const answer = await registry.call('PUT', `/v2/${name}/manifests/${reference}`, {
        headers: { 'content-type': manifest.mediaType },
        body: bytes,
      });
      if (answer.status !== 201) throw new Error(`${answer.status} ${String(answer.body)}`);
      return { digest: digestOf(bytes), bytes };
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
  return registry;
}

async function call(port: number, method: string, path: string, { headers, body }: Call = {}): Promise<Answer> {
  const whole = typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : undefined;
  const request = httpRequest({
    port,
    host: '127.0.0.1',
    method,
    path,
    agent: false,
    headers: { ...(whole !== undefined && { 'content-length': whole.length }), ...headers },
  });
  const answered = once(request, 'response');
  // An answer may come, and the connection go, while the body is still being sent.
  request.on('error', () => undefined);
  if (whole !== undefined) request.end(whole);
  else if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) request.end();
  else {
    for await (const chunk of body) request.write(chunk);
    request.end();
  }
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return {
    status: response.statusCode,
    reason: response.statusMessage,
    headers: response.headers,
    body: bytes,
    code: errorCode(bytes),
  };
}

function errorCode(body: Buffer): string | undefined {
  try {
    const { errors } = JSON.parse(String(body));
    return typeof errors[0].message === 'string' && errors.length === 1 ? errors[0].code : undefined;
  } catch {
    return undefined;
  }
}
