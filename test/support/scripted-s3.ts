import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { S3Options } from '../../storage/drivers/s3.ts';

/** A request that the server got. */
export interface S3Request {
  readonly method: string;
  /** Without the bucket; empty where it is about the bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/**
 * What happens to a request instead of a healthy answer: an error; the connection is cut before anything is done, or
 * after it (`lost`), or when so many bytes of the answer's body went out; or nothing ever comes.
 */
export type Fault =
  | { readonly status: number; readonly code: string }
  | 'cut'
  | 'lost'
  | 'hang'
  | { readonly cutAfter: number };

/** An object. A huge one has a size, and no bytes. */
export interface ScriptedObject {
  readonly size: number;
  readonly bytes: Buffer;
  readonly headers: IncomingMessage['headers'];
  modified: Date;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** Plays an S3 server with one bucket in memory, healthy but for what the script says. It checks no signatures. */
export class ScriptedS3 implements AsyncDisposable {
  readonly objects = new Map<string, ScriptedObject>();
  /** Multipart uploads that are under way: id → key, and parts by number. */
  readonly multiparts = new Map<string, { key: string; begun: Date; parts: Map<number, ScriptedObject> }>();
  readonly seen: S3Request[] = [];
  readonly #server: Server;
  #script: (request: S3Request) => Fault | undefined | Promise<Fault | undefined> = () => undefined;
  #ids = 0;

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<ScriptedS3> {
    const scripted = new ScriptedS3();
    scripted.#server.listen(0, '127.0.0.1');
    await once(scripted.#server, 'listening');
    return scripted;
  }

  /** How the driver reaches it. */
  get options(): S3Options {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server does not listen');
    return {
      bucket: 'images',
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${address.port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    };
  }

  /** From now on. */
  script(script: (request: S3Request) => Fault | undefined | Promise<Fault | undefined>): void {
    this.#script = script;
  }

  /** Only the first request of a kind fails. */
  failOnce(matches: (request: S3Request) => boolean, fault: Fault): void {
    let left = 1;
    this.script((request) => {
      if (left === 0 || !matches(request)) return undefined;
      left -= 1;
      return fault;
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://s3');
    const [, bucket = '', ...parts] = pathname.split('/').map(decodeURIComponent);
    const { method = '', headers } = request;
    const seen = { method, key: parts.join('/'), query, headers, body: Buffer.concat(chunks) };
    this.seen.push(seen);
    const fault = await this.#script(seen);
    if (fault === 'hang') return;
    if (fault === 'cut') return void request.socket.destroy();
    let answer: Answer;
    if (typeof fault === 'object' && 'status' in fault) answer = failure(fault.status, fault.code);
    else answer = bucket === 'images' ? this.#answer(seen) : failure(404, 'NoSuchBucket');
    if (fault === 'lost') return void request.socket.destroy();
    const body = method === 'HEAD' ? Buffer.alloc(0) : Buffer.from(answer.body ?? '');
    response.writeHead(answer.status, { 'content-length': body.length, ...answer.headers });
    if (typeof fault !== 'object' || !('cutAfter' in fault)) return void response.end(body);
    response.write(body.subarray(0, fault.cutAfter), () => request.socket.destroySoon());
  }

  #answer(request: S3Request): Answer {
    const { method, key, query } = request;
    if (query.has('delete')) return this.#deleteMany(request);
    if (query.has('uploads') && method === 'GET') return this.#listMultiparts(query);
    if (query.has('uploads')) return this.#begin(key);
    if (query.has('uploadId')) return this.#multipart(request);
    if (query.has('list-type')) return this.#list(query);
    if (method === 'PUT') return this.#put(request);
    if (method === 'DELETE') return this.#delete(request);
    return this.#get(request);
  }

  #get({ key, headers }: S3Request): Answer {
    const object = this.objects.get(key);
    if (object === undefined) return failure(404, 'NoSuchKey');
    const { size, bytes } = object;
    const described = { etag: etagOf(object), 'last-modified': object.modified.toUTCString() };
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    if (start === undefined || end === undefined) {
      const checksum = object.headers['x-amz-checksum-crc32'];
      const sent = { ...described, 'content-length': String(size) };
      return {
        status: 200,
        headers: typeof checksum === 'string' ? { ...sent, 'x-amz-checksum-crc32': checksum } : sent,
        body: bytes,
      };
    }
    const range = { ...described, 'content-range': `bytes ${start}-${end}/${size}` };
    return { status: 206, headers: range, body: bytes.subarray(Number(start), Number(end) + 1) };
  }

  #put(request: S3Request): Answer {
    const { key, headers } = request;
    const there = this.objects.get(key);
    if (headers['if-none-match'] === '*' && there !== undefined) return failure(412, 'PreconditionFailed');
    const match = headers['if-match'];
    if (match !== undefined && there === undefined) return failure(404, 'NoSuchKey');
    if (match !== undefined && there !== undefined && match !== etagOf(there))
      return failure(412, 'PreconditionFailed');
    const object = this.#content(request);
    if (object === undefined) return failure(404, 'NoSuchKey');
    this.objects.set(key, object);
    return this.#written(request, object, 'CopyObjectResult');
  }

  /** What a PUT brings: its body, or what it copies. */
  #content({ headers, body }: S3Request): ScriptedObject | undefined {
    const copied = headers['x-amz-copy-source'];
    if (typeof copied !== 'string') return { size: body.length, bytes: body, headers, modified: new Date() };
    const source = this.objects.get(decodeURIComponent(copied).replace(/^images\//, ''));
    if (source === undefined) return undefined;
    const [, start = '0', end = String(source.size - 1)] =
      /^bytes=(\d+)-(\d+)$/.exec(String(headers['x-amz-copy-source-range'])) ?? [];
    const bytes = source.bytes.subarray(Number(start), Number(end) + 1);
    return { size: Number(end) + 1 - Number(start), bytes, headers, modified: new Date() };
  }

  #written({ headers }: S3Request, object: ScriptedObject, root: string): Answer {
    if (headers['x-amz-copy-source'] === undefined) return { status: 200, headers: { etag: etagOf(object) } };
    return { status: 200, body: `<${root}><ETag>${etagOf(object)}</ETag></${root}>` };
  }

  #delete({ key, headers }: S3Request): Answer {
    const [there, match] = [this.objects.get(key), headers['if-match']];
    if (match !== undefined && (there === undefined || match !== etagOf(there)))
      return failure(412, 'PreconditionFailed');
    this.objects.delete(key);
    return { status: 204 };
  }

  #deleteMany({ body }: S3Request): Answer {
    for (const [, key = ''] of String(body).matchAll(/<Key>([^<]*)<\/Key>/g)) this.objects.delete(key);
    return { status: 200, body: '<DeleteResult></DeleteResult>' };
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const found: string[] = [];
    const folders = new Set<string>();
    for (const key of [...this.objects.keys()].sort()) {
      if (!key.startsWith(prefix)) continue;
      const cut = query.has('delimiter') ? key.indexOf('/', prefix.length) : -1;
      if (cut !== -1) folders.add(key.slice(0, cut + 1));
      else if (key > after) found.push(key);
    }
    const page = found.slice(0, Number(query.get('max-keys') ?? 1000));
    const more = page.length < found.length;
    const contents = page.map((key) => {
      const { size, modified } = this.objects.get(key) ?? { size: 0, modified: new Date() };
      return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>${modified.toISOString()}</LastModified></Contents>`;
    });
    const prefixes = [...folders].map((folder) => `<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`);
    const next = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    const inner = `<IsTruncated>${more}</IsTruncated>${next}${contents.join('')}${prefixes.join('')}`;
    return { status: 200, body: `<ListBucketResult>${inner}</ListBucketResult>` };
  }

  #begin(key: string): Answer {
    const id = `upload-${(this.#ids += 1)}`;
    this.multiparts.set(id, { key, begun: new Date(), parts: new Map() });
    const inner = `<UploadId>${id}</UploadId>`;
    return { status: 200, body: `<InitiateMultipartUploadResult>${inner}</InitiateMultipartUploadResult>` };
  }

  #listMultiparts(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const found = [...this.multiparts].filter(([, { key }]) => key.startsWith(prefix));
    const uploads = found.map(
      ([id, { key, begun }]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${begun.toISOString()}</Initiated></Upload>`,
    );
    return { status: 200, body: `<ListMultipartUploadsResult>${uploads.join('')}</ListMultipartUploadsResult>` };
  }

  #multipart(request: S3Request): Answer {
    const { method, query } = request;
    const id = query.get('uploadId') ?? '';
    const upload = this.multiparts.get(id);
    if (upload === undefined) return failure(404, 'NoSuchUpload');
    if (method === 'DELETE') {
      this.multiparts.delete(id);
      return { status: 204 };
    }
    if (method === 'PUT') {
      const part = this.#content(request);
      if (part === undefined) return failure(404, 'NoSuchKey');
      upload.parts.set(Number(query.get('partNumber')), part);
      return this.#written(request, part, 'CopyPartResult');
    }
    const parts = [...upload.parts].toSorted(([one], [other]) => one - other).map(([, part]) => part);
    // S3 API, "CompleteMultipartUpload": EntityTooSmall.
    if (parts.slice(0, -1).some(({ size }) => size < 5 * 1024 * 1024)) return failure(400, 'EntityTooSmall');
    this.multiparts.delete(id);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    this.objects.set(upload.key, { size, bytes, headers: {}, modified: new Date() });
    return { status: 200, body: '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function failure(status: number, code: string): Answer {
  const body = `<Error><Code>${code}</Code><Message>scripted</Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml' }, body };
}

function etagOf({ bytes }: ScriptedObject): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}
