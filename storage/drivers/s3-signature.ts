import { createHash, createHmac } from 'node:crypto';

/** Who asks. */
export interface S3Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** What is signed: a request's path and query are as they are sent, and all of its headers count. */
export interface Signable {
  readonly method: string;
  readonly path: string;
  /** Sorted; empty, or `name=value` joined by `&`. */
  readonly query: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The sha256 of the body in hex, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string;
}

/** The payload of requests without a body. */
export const emptyPayload = createHash('sha256').digest('hex');

/** Signs requests to S3 (Amazon S3 API reference, "Authenticating Requests: AWS Signature Version 4"). */
export class S3Signer {
  readonly #region: string;
  /** The key of a day, and what it was derived from. */
  #key: { secret: string; day: string; bytes: Buffer } | undefined;

  constructor(region: string) {
    this.#region = region;
  }

  /** The headers of a request, and those that sign it at a moment in ms. */
  sign({ method, path, query, headers, payload }: Signable, identity: S3Identity, now: number): Record<string, string> {
    const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
    const day = time.slice(0, 8);
    const signed: Record<string, string> = {
      ...headers,
      'x-amz-content-sha256': payload,
      'x-amz-date': time,
      ...(identity.sessionToken !== undefined && { 'x-amz-security-token': identity.sessionToken }),
    };
    const names = Object.keys(signed).toSorted();
    const lines = names.map((name) => `${name}:${signed[name]?.trim()}\n`).join('');
    const list = names.join(';');
    const canonical = `${method}\n${path}\n${query}\n${lines}\n${list}\n${payload}`;
    const scope = `${day}/${this.#region}/s3/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
    const signature = createHmac('sha256', this.#keyOf(identity.secretAccessKey, day)).update(text).digest('hex');
    const credential = `Credential=${identity.accessKeyId}/${scope}`;
    signed['authorization'] = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${list}, Signature=${signature}`;
    return signed;
  }

  #keyOf(secret: string, day: string): Buffer {
    if (this.#key?.secret !== secret || this.#key.day !== day) {
      const steps = [day, this.#region, 's3', 'aws4_request'];
      const start: Buffer = Buffer.from(`AWS4${secret}`);
      const bytes = steps.reduce((key, step) => createHmac('sha256', key).update(step).digest(), start);
      this.#key = { secret, day, bytes };
    }
    return this.#key.bytes;
  }
}
