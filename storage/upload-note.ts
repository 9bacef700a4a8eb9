import type { Algorithm } from './digest.ts';
import { asSavedHash, type SavedHash } from './hash.ts';

/** What is kept with an upload session. */
export interface UploadNote {
  /** The repository. */
  readonly name: string;
  /** Who began it; empty where nobody logged in. */
  readonly owner: string;
  /** By what the bytes are hashed as they come. */
  readonly algorithm: Algorithm;
  /** Of the bytes up to its length; believed only if that is all of them. */
  readonly hash?: SavedHash | undefined;
}

export function formatNote(note: UploadNote): string {
  return JSON.stringify(note);
}

/** Undefined: it is none. */
export function parseNote(text: string): UploadNote | undefined {
  const note: unknown = JSON.parse(text);
  if (typeof note !== 'object' || note === null || !('name' in note) || typeof note.name !== 'string') return undefined;
  return {
    name: note.name,
    owner: 'owner' in note && typeof note.owner === 'string' ? note.owner : '',
    algorithm: 'algorithm' in note && note.algorithm === 'sha512' ? 'sha512' : 'sha256',
    hash: 'hash' in note ? asSavedHash(note.hash) : undefined,
  };
}
