/** The paths of the API. Those of a repository have its name, which may have slashes, and one part behind it. */
export const paths = {
  base: '/v2{/}',
  catalog: '/v2/_catalog',
  tags: '/v2/*name/tags/list',
  referrers: '/v2/*name/referrers/:digest',
  uploads: '/v2/*name/blobs/uploads{/}',
  upload: '/v2/*name/blobs/uploads/:id',
  blob: '/v2/*name/blobs/:digest',
  manifest: '/v2/*name/manifests/:reference',
} as const;

/** One of them. */
export type PathName = keyof typeof paths;

/** Where a path leads. */
export interface Place {
  readonly at: PathName;
  /** Of the repository, as the path has it; empty where the path is about none. */
  readonly name: string;
  /** What stands behind the name: a digest, a reference or a session's id; else empty. */
  readonly part: string;
}

/** Whether a path is the registry API's. */
export function isRegistryPath(path: string): boolean {
  return path.startsWith('/v2') && (path.length === 3 || path.charCodeAt(3) === slash);
}

const slash = 47;
const base: Place = { at: 'base', name: '', part: '' };
const catalog: Place = { at: 'catalog', name: '', part: '' };

/**
 * Where a path of the registry API leads, by its end: a name may be like any part of the API. Undefined: nowhere. Names
 * and parts are decoded, and not looked at.
 */
export function placeOf(path: string): Place | undefined {
  if (path.length <= '/v2/'.length) return base;
  if (path === paths.catalog) return catalog;
  const last = path.lastIndexOf('/');
  const before = path.lastIndexOf('/', last - 1);
  const part = path.slice(last + 1);
  const place = (at: PathName, end: number): Place | undefined =>
    end > '/v2/'.length ? { at, name: decode(path.slice('/v2/'.length, end)), part: decode(part) } : undefined;
  switch (path.slice(before + 1, last)) {
    case 'manifests':
      return part === '' ? undefined : place('manifest', before);
    case 'blobs':
      if (part === 'uploads') return place('uploads', before);
      return part === '' ? undefined : place('blob', before);
    case 'uploads':
      if (!path.endsWith('/blobs', before)) return undefined;
      return place(part === '' ? 'uploads' : 'upload', before - '/blobs'.length);
    case 'tags':
      return part === 'list' ? place('tags', before) : undefined;
    case 'referrers':
      return part === '' ? undefined : place('referrers', before);
    default:
      return undefined;
  }
}

/** What cannot be decoded stays as it is, and is no name of anything. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
