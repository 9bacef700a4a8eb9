/** What can be wrong with a request to the store. Whatever is not of these (an I/O error, say) is the store's fault. */
export type StorageErrorCode =
  | 'NAME_INVALID'
  | 'TAG_INVALID'
  | 'DIGEST_INVALID'
  | 'SIZE_INVALID'
  | 'NAME_UNKNOWN'
  | 'BLOB_UNKNOWN'
  | 'MANIFEST_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'UPLOAD_UNKNOWN'
  | 'UPLOAD_OUT_OF_ORDER'
  | 'UPLOAD_TAKEN_OVER'
  | 'NO_SPACE'
  | 'UNAVAILABLE';

/** A failure that the caller of the store is told of. */
export class StorageError extends Error {
  override readonly name: string = 'StorageError';
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A digest is malformed, of an unknown algorithm, or not that of the content. */
export class DigestInvalidError extends StorageError {
  override readonly name = 'DigestInvalidError';

  constructor(message: string) {
    super('DIGEST_INVALID', message);
  }
}

/** A manifest names content that its repository does not have. */
export class ManifestBlobUnknownError extends StorageError {
  override readonly name = 'ManifestBlobUnknownError';
  readonly digests: readonly string[];

  constructor(digests: readonly string[]) {
    super('MANIFEST_BLOB_UNKNOWN', `the repository lacks ${digests.join(', ')}`);
    this.digests = digests;
  }
}

/** Bytes were sent for another place than the end of what is there. The session is as it was. */
export class UploadOutOfOrderError extends StorageError {
  override readonly name = 'UploadOutOfOrderError';
  /** Bytes that the session holds: where the next ones belong. */
  readonly offset: number;

  constructor(offset: number, at: number) {
    super('UPLOAD_OUT_OF_ORDER', `bytes for offset ${at}, but the upload holds ${offset}`);
    this.offset = offset;
  }
}
