import { ManifestBlobUnknownError, type StorageError, type StorageErrorCode } from '../../storage/errors.ts';
import { HttpError } from '../http/errors.ts';

/**
 * How the store's failures are told to clients: status and code (OCI distribution-spec, "Error Codes"; those which it
 * lacks are distribution's own). Whatever is not a StorageError is no fault of the client, and stays a 5xx.
 */
const answers: Readonly<Record<StorageErrorCode, readonly [status: number, code: string]>> = {
  NAME_INVALID: [400, 'NAME_INVALID'],
  TAG_INVALID: [400, 'TAG_INVALID'],
  DIGEST_INVALID: [400, 'DIGEST_INVALID'],
  SIZE_INVALID: [400, 'SIZE_INVALID'],
  NAME_UNKNOWN: [404, 'NAME_UNKNOWN'],
  BLOB_UNKNOWN: [404, 'BLOB_UNKNOWN'],
  MANIFEST_UNKNOWN: [404, 'MANIFEST_UNKNOWN'],
  MANIFEST_INVALID: [400, 'MANIFEST_INVALID'],
  MANIFEST_BLOB_UNKNOWN: [400, 'MANIFEST_BLOB_UNKNOWN'],
  UPLOAD_UNKNOWN: [404, 'BLOB_UPLOAD_UNKNOWN'],
  UPLOAD_OUT_OF_ORDER: [416, 'BLOB_UPLOAD_INVALID'],
  UPLOAD_TAKEN_OVER: [409, 'BLOB_UPLOAD_INVALID'],
  NO_SPACE: [507, 'UNAVAILABLE'],
  UNAVAILABLE: [503, 'UNAVAILABLE'],
};

/** What a client is told of a failure of the store. */
export function toHttpError(error: StorageError): HttpError {
  const [status, code] = answers[error.code];
  return new HttpError(status, code, messageOf(error), {
    cause: error,
    ...(error instanceof ManifestBlobUnknownError && { detail: error.digests.map((digest) => ({ digest })) }),
    // Of a 5xx, Docker reads the status line only. It tries five times, but not where it finds this text.
    ...(error.code === 'NO_SPACE' && { reason: 'no space left on device' }),
    ...(error.code === 'UNAVAILABLE' && { headers: { 'Retry-After': '5' } }),
  });
}

/** What a client is told. What lies behind this server is none of its business; the log has it. */
function messageOf({ code, message }: StorageError): string {
  return code === 'UNAVAILABLE'
    ? 'the images cannot be reached at the moment; the log of the server says why'
    : message;
}
