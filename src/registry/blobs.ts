import type { BlockList } from 'node:net';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { parseDigest } from '../../storage/digest.ts';
import { recyclePiece } from '../../storage/pieces.ts';
import type { BlobStore, ByteRange } from '../../storage/store.ts';
import { HttpError } from '../http/errors.ts';
import { plainAddress } from '../http/state.ts';
import { contains } from '../networks.ts';
import { answerEmpty, type Context, describeContent, type Handler, repositoryFor, part } from './context.ts';
import { multipart } from './multipart.ts';
import { parseRange } from './range.ts';

const contentType = 'application/octet-stream';

/** An nginx in front that reads the blobs' folder itself. */
export interface Accel {
  /** The path of its location on that folder, with a slash at both ends. */
  readonly location: string;
  readonly trustedProxies: BlockList;
}

/** GET and HEAD /v2/<name>/blobs/<digest>: the bytes as they are stored, never compressed, whole or in ranges. */
export function getBlob(blobs: BlobStore, accel?: Accel): Handler {
  return async (ctx) => {
    const name = repositoryFor(ctx, 'pull');
    const digest = parseDigest(part(ctx));
    const isPlain = ctx.method === 'GET' && ctx.headers.range === undefined;
    const whole = isPlain ? await blobs.open(name, digest) : undefined;
    const { size } = whole ?? (await blobs.stat(name, digest));
    ctx.set('Accept-Ranges', 'bytes');
    if (!describeContent(ctx, digest, contentType, true)) return;
    const ranges = wantedRanges(ctx, size);
    const open = async (range?: ByteRange): Promise<AsyncIterable<Uint8Array>> =>
      (await blobs.open(name, digest, range)).body;
    const [first, ...more] = ranges ?? [];
    if (accel !== undefined && canHandOver(ctx, ranges, accel)) {
      ctx.set('X-Accel-Redirect', accel.location + (await blobs.path(name, digest)));
      // nginx has one of its own in a whole answer, and none in a range.
      if (ranges === undefined) ctx.remove('Accept-Ranges');
      ctx.body = '';
      return;
    }
    if (canFollow(ctx, ranges)) {
      const url = await blobs.url(name, digest);
      if (url !== undefined && !hostsOf(ctx).includes(URL.parse(url)?.hostname)) return redirect(ctx, url);
    }

    if (ranges === undefined) {
      if (ctx.method !== 'HEAD') stream(ctx, whole?.body ?? (await open()));
      ctx.length = size;
    } else if (first === undefined) {
      // "A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range header field
      // specifying the current length" (RFC 9110, section 15.5.17).
      throw new HttpError(416, 'SIZE_INVALID', `the blob has ${size} bytes`, {
        headers: { 'Content-Range': `bytes */${size}` },
      });
    } else if (more.length === 0) {
      ctx.status = 206;
      ctx.set('Content-Range', `bytes ${first.start}-${first.end}/${size}`);
      stream(ctx, await open(first));
      ctx.length = first.end - first.start + 1;
    } else {
      const parts = multipart(ranges, size, contentType, open);
      ctx.status = 206;
      ctx.set('Content-Type', parts.contentType);
      stream(ctx, parts.body);
      ctx.length = parts.length;
    }
  };
}

/** Whether a request can be answered by another server: what S3 has is one range at most, and etags of its own. */
function canFollow(ctx: Context, ranges: readonly ByteRange[] | undefined): boolean {
  return ctx.method === 'GET' && ctx.headers['if-range'] === undefined && (ranges === undefined || ranges.length === 1);
}

/**
 * Whether a proxy that is trusted said that it answers in this server's place (nginx, "X-Accel-Redirect"), and does so for
 * this request as it would be answered here: of ranges one that nginx reads alike, and no condition on an etag or a date.
 */
function canHandOver(ctx: Context, ranges: readonly ByteRange[] | undefined, { trustedProxies }: Accel): boolean {
  const { method, headers, req } = ctx;
  if (method !== 'GET' || headers['x-shiplog-accel'] !== '1') return false;
  if (!contains(trustedProxies, plainAddress(req.socket.remoteAddress ?? ''))) return false;
  const conditions = ['if-range', 'if-match', 'if-modified-since', 'if-unmodified-since'];
  if (conditions.some((condition) => headers[condition] !== undefined)) return false;
  if (headers.range === undefined) return true;
  return ranges?.length === 1 && /^bytes=\d{0,15}-\d{0,15}$/.test(headers.range);
}

/** Names by which the client may know this server; one that a header makes up does no harm, but for a redirect less. */
function hostsOf(ctx: Context): (string | undefined)[] {
  const forwarded = [ctx.headers['x-forwarded-host'] ?? []].flat().join(',');
  return [ctx.host, ...forwarded.split(',')].map((host) => URL.parse(`http://${host.trim()}`)?.hostname);
}

/** Sends a client elsewhere. Not to the registry's own host, for which Docker would send its password along. */
function redirect(ctx: Context, url: string): void {
  // The content is for ever, the URL is not.
  ctx.set('Cache-Control', 'no-store');
  ctx.set('Location', url);
  answerEmpty(ctx, 307);
}

/** DELETE /v2/<name>/blobs/<digest>: the repository has it no longer. */
export function deleteBlob(blobs: BlobStore): Handler {
  return async (ctx) => {
    await blobs.delete(repositoryFor(ctx, 'delete'), parseDigest(part(ctx)));
    answerEmpty(ctx, 202);
  };
}

/** The ranges that a request asks for; undefined: the whole blob. */
function wantedRanges(ctx: Context, size: number): ByteRange[] | undefined {
  const { range, 'if-range': condition } = ctx.headers;
  // "A server MUST ignore a Range header field received with a request method that is unrecognized or for which range
  // handling is not defined. For this specification, GET is the only method" (RFC 9110, section 14.2).
  if (range === undefined || ctx.method !== 'GET') return undefined;
  // "If the validator does not match, the server [ignores] the Range header field" (RFC 9110, section 13.1.5). A date
  // never matches: blobs have none.
  if (condition !== undefined && condition !== ctx.response.get('ETag')) return undefined;
  return parseRange(range, size);
}

/** Sends bytes as fast as the client takes them; a failure cuts the connection, and so cannot pass for the end. */
function stream(ctx: Context, body: AsyncIterable<Uint8Array>): void {
  const sent: Readable = Readable.from(pieces(), { objectMode: false });
  ctx.body = sent;

  async function* pieces(): AsyncGenerator<Uint8Array> {
    const { res } = ctx;
    for await (const piece of body) {
      yield piece;
      if (sent.readableLength > 0) continue;
      if (res.writableNeedDrain) await drained(res);
      if (res.writableLength === 0 && !res.destroyed) recyclePiece(piece);
    }
  }
}

/** Waits until all that was written is with the system, or the client has gone. */
async function drained(response: ServerResponse): Promise<void> {
  const { socket } = response;
  if (socket === null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  // Of the response's own `close` Koa and its pipeline have ten listeners; with one more Node warns of a leak.
  socket.once('close', resolve);
  response.once('drain', resolve);
  await promise;
  socket.off('close', resolve);
  response.off('drain', resolve);
}
