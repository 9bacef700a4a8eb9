import { StorageError } from '../errors.ts';

/** S3 does not answer, or refuses what it is asked. It says nothing of what is there and what is not. */
export class S3Error extends StorageError {
  override readonly name = 'S3Error';

  constructor(message: string, options?: ErrorOptions) {
    super('UNAVAILABLE', message, options);
  }
}

/** S3 answered that it does not do what it was asked for: in the form in which the SDK tells of such. */
export class S3Refusal extends Error {
  override readonly name: string;
  readonly $metadata: { readonly httpStatusCode: number };

  constructor(code: string, message: string, status: number) {
    super(message);
    this.name = code;
    this.$metadata = { httpStatusCode: status };
  }
}

/** What a call to S3 that failed is told as: `call` is its name. Whatever is one of the store's errors stays so. */
export function asS3Error(call: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  if (codeOf(error) === 'QuotaExceeded' || statusOf(error) === 507) {
    return new StorageError('NO_SPACE', 'no space left on device', { cause: error });
  }
  return new S3Error(`${call} at S3 failed: ${describe(error)}`, { cause: error });
}

/** Whether there is no such key. A bucket that is not there is another matter. */
export function isAbsent(error: unknown): boolean {
  return codeOf(error) === 'NoSuchKey';
}

/** Whether an answer without a body says that there is no such thing, be it the key or the bucket. */
export function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404;
}

/** Whether the key is not as the condition wants it: S3 says NoSuchKey where there is none, others do not. */
export function isRefused(error: unknown): boolean {
  // 409: another conditional write was under way (S3 User Guide, "Conditional writes").
  return isAbsent(error) || statusOf(error) === 412 || codeOf(error) === 'ConditionalRequestConflict';
}

/** Whether a multipart upload is over. */
export function isOver(error: unknown): boolean {
  return codeOf(error) === 'NoSuchUpload';
}

/** The HTTP status that S3 answered; undefined: it did not. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const { $metadata: metadata } = error;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** The code that S3 gave, such as `AccessDenied`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? error.name : undefined;
}

/** S3's own words, or the system's: of several addresses that were tried, each. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  if (!(error instanceof Error)) return String(error);
  const status = statusOf(error);
  return status === undefined ? `${error.name}: ${error.message}` : `${error.name} (${status}): ${error.message}`;
}
