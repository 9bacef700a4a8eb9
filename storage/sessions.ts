import type { UploadArea } from './driver.ts';
import { StorageError } from './errors.ts';
import { parseNote } from './upload-note.ts';

/** Sessions that one owner may have open before the oldest idle ones make room. */
const mostOfOwner = 1000;

/** A session in which something happened within this time is never taken for one too many. In ms. */
const active = 3_600_000;

/** An owner's session, and for how many ms it has been idle. */
interface Session {
  readonly id: string;
  readonly idle: number;
}

/**
 * Ends upload sessions that have been idle for `idle` ms, and of an owner who has too many those that have been idle for
 * the longest: so nobody who works is refused. One that `isHeld` by a request is left alone.
 *
 * Any number of processes may do this at once, beside requests of all of them. A session is ended under its lease, which
 * only one can have:
 *
 *   the request, then the sweep     It has touched the session, which is not idle any more; here, it holds it too.
 *   the sweep, then the request     The session is gone when the request asks for it, or for its lease: UPLOAD_UNKNOWN.
 *   listed, request, ended          A session that was idle for so long is gone on with in this very moment. The request,
 *                                   or the client's next one, fails with UPLOAD_TAKEN_OVER or UPLOAD_UNKNOWN.
 *   leased, request, ended          Here the sweep has lost its lease, and the session stays. From another process it is
 *                                   ended: the request fails, or its commit has moved the whole content already.
 *   two sweeps                      The second one finds no session, or ends what the first is about to end.
 *
 * Broken off anywhere, it leaves a session, or what the driver sweeps away.
 */
export async function expireSessions(
  uploads: UploadArea,
  { idle: limit, isHeld }: { idle: number; isHeld: (id: string) => boolean },
): Promise<void> {
  const owners = new Map<string, Session[]>();
  for await (const { id, idle, note } of uploads.list()) {
    const owner = parseNote(note)?.owner ?? '';
    const sessions = owners.get(owner) ?? [];
    sessions.push({ id, idle: isHeld(id) ? 0 : idle });
    owners.set(owner, sessions);
  }
  for (const sessions of owners.values()) {
    sessions.sort((one, other) => other.idle - one.idle);
    const tooMany = sessions.length - mostOfOwner;
    for (const [place, { id, idle }] of sessions.entries()) {
      const expired = idle >= limit || (place < tooMany && idle >= active);
      // It may have been taken up since it was listed.
      if (expired && !isHeld(id)) await end(uploads, id);
    }
  }
}

/** Ends a session, unless somebody else has ended it or goes on with it. */
async function end(uploads: UploadArea, id: string): Promise<void> {
  try {
    const lease = await uploads.open(id);
    await lease?.abort();
  } catch (error) {
    if (!(error instanceof StorageError && error.code.startsWith('UPLOAD_'))) throw error;
  }
}
