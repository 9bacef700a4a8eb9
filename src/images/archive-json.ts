import type { z } from 'zod';
import { manifestLimit } from '../../storage/manifest.ts';
import { ImageError } from './errors.ts';
import type { ArchivedFile } from './tar-reader.ts';

/** A small file as a whole. @throws {ImageError} where it has more than 4 MiB, as nothing has that is read so */
export async function readSmall(file: ArchivedFile, name: string): Promise<Buffer<ArrayBuffer>> {
  if (file.size > manifestLimit) throw new ImageError(`${name} has ${file.size} bytes, which is too much for it`);
  return Buffer.concat(await Array.fromAsync(file.read()));
}

/** What a file says. @throws {ImageError} */
export function parseAs<T>(schema: z.ZodType<T>, bytes: Buffer, name: string): T {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString());
  } catch (cause) {
    throw new ImageError(`${name} is no JSON`, { cause });
  }
  const { success, data, error } = schema.safeParse(document);
  if (success) return data;
  const [issue] = error.issues;
  throw new ImageError(`${name} is not as it should be: ${issue?.path.join('.')}: ${issue?.message}`);
}
