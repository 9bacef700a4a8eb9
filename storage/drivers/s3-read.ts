import type { Span } from '../driver.ts';
import type { OpenObject } from './s3-answer.ts';
import type { S3Bucket } from './s3-bucket.ts';
import { asS3Error, S3Error } from './s3-errors.ts';

/** How often one reading goes on after a broken connection. */
const mostBreaks = 5;

/** A span of an object, read as it is asked for. Where a connection breaks, it goes on with another one. */
export async function* readObject(bucket: S3Bucket, key: string, span: Span): AsyncGenerator<Uint8Array, void, void> {
  let at = span.start;
  for (let breaks = 0; at <= span.end;) {
    const found = await openAt(bucket, key, { start: at, end: span.end });
    try {
      for await (const piece of found.body) {
        at += piece.length;
        yield piece;
      }
      if (at <= span.end) throw new Error('the answer ended early');
    } catch (error) {
      breaks += 1;
      // All of them came, and are not what S3's checksum says.
      if (breaks > mostBreaks || at > span.end) throw asS3Error('GetObject', error);
    } finally {
      found.destroy();
    }
  }
}

/** Opens a span. Only bytes that are asked for as a whole are checked against the object's checksum. */
async function openAt(bucket: S3Bucket, key: string, span: Span): Promise<OpenObject> {
  const whole = span.start === 0 ? await bucket.open(key) : undefined;
  if (whole?.size === span.end + 1) return whole;
  whole?.destroy();
  const part = await bucket.open(key, span);
  if (part === undefined) throw new S3Error(`the object ${key} is gone`);
  return part;
}
