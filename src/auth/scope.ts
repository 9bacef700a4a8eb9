import { isName } from '../../storage/names.ts';
import type { Action } from '../http/state.ts';

/** Whoever pushes looks first at what is there. */
const asked = { pull: 'pull', push: 'pull,push', delete: 'delete' } as const;

/** `repository:team/web:pull,push` (distribution, "Token Scope Documentation"). */
export function scopeOf(action: Action, repository: string): string {
  return `repository:${repository}:${asked[action]}`;
}

/**
 * What a request under /v2/ seems to be about, as a scope; undefined where it is about no repository. It tells a client
 * what to ask a token for, and decides nothing.
 */
export function scopeOfRequest(method: string, path: string): string | undefined {
  if (path === '/v2/_catalog') return 'registry:catalog:*';
  const [, name = '', what = ''] =
    /^\/v2\/(.+)\/((?:blobs|manifests|referrers)\/[^/]+|blobs\/uploads\/[^/]*|tags\/list)$/.exec(path) ?? [];
  return isName(name) ? scopeOf(actionOf(method, what), name) : undefined;
}

function actionOf(method: string, what: string): Action {
  if (what.startsWith('blobs/uploads')) return 'push';
  if (method === 'GET' || method === 'HEAD') return 'pull';
  return method === 'DELETE' ? 'delete' : 'push';
}
