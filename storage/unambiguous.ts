import { z } from 'zod';
import { StorageError } from './errors.ts';
import { list, strings } from './first-issue.ts';

/*
 * JSON leaves room for doubt: a key that is there twice, a number that is whole but not written so, keys that Go takes for
 * others because it compares them in any case. And a field that one reader does not look at, another may want in a form
 * of its own. distribution's garbage collector stops at a manifest that it cannot read, and takes what a manifest names
 * under a key that it reads as another. So such documents are not taken in.
 */

/** Deeper than any manifest, and within what readers bear (Go's: 10,000). */
const deepest = 100;

const text = z.string().nullish();
const texts = list(z.string()).nullish();

/** What distribution's readers look at (OCI image-spec, descriptor.md and image-index.md). */
const platform = exact({
  architecture: text,
  os: text,
  'os.version': text,
  'os.features': texts,
  variant: text,
  features: texts,
});
const descriptor = exact({
  mediaType: z.string(),
  digest: z.string(),
  size: z.number(),
  urls: texts,
  annotations: strings.nullish(),
  data: z.base64().nullish(),
  artifactType: text,
  platform: platform.nullish(),
});
const manifest = exact({
  schemaVersion: z.number(),
  mediaType: text,
  artifactType: text,
  config: descriptor.nullish(),
  layers: list(descriptor).nullish(),
  manifests: list(descriptor).nullish(),
  subject: descriptor.nullish(),
  annotations: strings.nullish(),
});

/** Numbers that must be written as whole ones, by the keys on the way to them. */
const whole = /^(?:schemaVersion|(?:config|subject|layers \*|manifests \*) size)$/;

/**
 * Refuses a manifest that readers could understand differently.
 * @throws {StorageError} MANIFEST_INVALID
 */
export function checkUnambiguous(bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString();
  const { success, error } = manifest.safeParse(JSON.parse(text));
  if (!success) throw invalid(z.prettifyError(error));
  checkValue(tokens(text), []);
}

/** An object that may have other keys too, but none that are these in another case. */
function exact<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$loose> {
  const spelling = new Map(Object.keys(shape).map((key) => [fold(key), key]));
  return z
    .looseObject(shape)
    .refine(
      (object) => Object.keys(object).every((key) => (spelling.get(fold(key)) ?? key) === key),
      'a key differs in case alone from one that is known',
    );
}

/** A key as Go's decoder compares it: all cases alike, and the two letters beyond ASCII that fold into it. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}

/** Reads one value off the tokens of valid JSON. */
function checkValue(rest: Iterator<string, undefined>, path: string[], token = rest.next().value): void {
  if (path.length > deepest) throw invalid(`it is more than ${deepest} levels deep`);
  if (token === '[') {
    for (let next = rest.next().value; next !== undefined && next !== ']'; next = rest.next().value) {
      if (next === ',') continue;
      path.push('*');
      checkValue(rest, path, next);
      path.pop();
    }
  } else if (token === '{') {
    const keys = new Set<string>();
    for (let next = rest.next().value; next !== undefined && next !== '}'; next = rest.next().value) {
      if (next === ',') continue;
      const key: string = JSON.parse(next);
      if (keys.has(key)) throw invalid(`the key ${next} is there twice`);
      keys.add(key);
      rest.next();
      path.push(key);
      checkValue(rest, path);
      path.pop();
    }
  } else if (path.length <= 3 && whole.test(path.join(' ')) && !/^\d+$/.test(token ?? '')) {
    throw invalid(`${path.join('.')} is not written as a whole number`);
  }
}

/** The tokens of valid JSON. */
function* tokens(text: string): Generator<string, undefined, void> {
  for (let at = 0; at < text.length; at += 1) {
    const start = at;
    const first = text[at] ?? '';
    if (first === '"') {
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
      yield text.slice(start, at + 1);
    } else if ('{}[],:'.includes(first)) {
      yield first;
    } else if (!' \t\r\n'.includes(first)) {
      while (at + 1 < text.length && !' \t\r\n{}[],:'.includes(text[at + 1] ?? '')) at += 1;
      yield text.slice(start, at + 1);
    }
  }
}

function invalid(message: string): StorageError {
  return new StorageError('MANIFEST_INVALID', message);
}
