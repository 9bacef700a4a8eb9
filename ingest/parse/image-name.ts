/** What the user typed after `docker run`, in its parts. */
export interface ImageName {
  /** Without tag and digest: `registry.corp/team/web`. */
  readonly name: string;
  /** Without the registry's host either: `team/web`. Absent where the image was named by its id alone. */
  readonly repository?: string;
  readonly tag?: string;
  readonly digest?: string;
}

const digestForm = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether a text is a digest as registries write it. */
export function isDigest(text: string): boolean {
  return digestForm.test(text);
}

/** Takes an image's name apart, by Docker's rule: a first part with `.` or `:`, or `localhost`, is a registry's host. */
export function parseImageName(text: string): ImageName {
  if (isDigest(text)) return { name: text };
  const at = text.indexOf('@');
  const digest = at < 0 ? '' : text.slice(at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const slash = named.lastIndexOf('/');
  const colon = named.indexOf(':', slash + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? '' : named.slice(colon + 1);
  return {
    name,
    repository: withoutHost(name),
    ...(tag !== '' && { tag }),
    ...(isDigest(digest) && { digest }),
  };
}

function withoutHost(name: string): string {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  return first === 'localhost' || /[.:]/.test(first) ? name.slice(slash + 1) : name;
}
