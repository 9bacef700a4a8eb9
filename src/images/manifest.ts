import { z } from 'zod';
import { type Digest, isDigest } from '../../storage/digest.ts';
import { StorageError } from '../../storage/errors.ts';
import { parseManifest } from '../../storage/manifest.ts';
import { ImageError } from './errors.ts';

/** What an image runs on. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** What a document says of other content (OCI image-spec, descriptor.md). `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly urls?: readonly string[] | undefined;
  readonly platform?: Platform | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** An image or an artifact; its layers are in order, and one may be there twice. */
export interface ImageManifest {
  readonly kind: 'image';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  /** Layers that need not be with it, as they are to be had elsewhere. */
  readonly elsewhere: ReadonlySet<Digest>;
  readonly artifactType?: string;
}

/** A list of manifests, or of the layers of a build cache. */
export interface IndexManifest {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly children: readonly Descriptor[];
}

/** Either. */
export type Document = ImageManifest | IndexManifest;

const platform = z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() });

/** One that is read. */
export const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'expected a digest'),
  size: z.int().nonnegative(),
  urls: z.array(z.string()).optional(),
  platform: platform.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

const imageSchema = z.object({ config: descriptorSchema, layers: z.array(descriptorSchema) });
const indexSchema = z.object({ manifests: z.array(descriptorSchema) });

const manifestType =
  /^application\/vnd\.(?:oci\.image\.(?:manifest|index)\.v1|docker\.distribution\.manifest(?:\.list)?\.v2)\+json$/;

/** Whether a descriptor is of a manifest or an index; else it is of a blob. */
export function isManifest({ mediaType }: { mediaType: string }): boolean {
  return manifestType.test(mediaType);
}

/** Whether a config is that of an image that can run; else the image is an artifact. */
export function isImageConfig({ mediaType }: { mediaType: string }): boolean {
  return /^application\/vnd\.(?:oci\.image\.config\.v1|docker\.container\.image\.v1)\+json$/.test(mediaType);
}

/** Reads a manifest or an index. @throws {ImageError} */
export function readDocument(bytes: Uint8Array): Document {
  try {
    const { mediaType, config, elsewhere, artifactType } = parseManifest(bytes);
    const document: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (config === undefined) return { kind: 'index', mediaType, children: indexSchema.parse(document).manifests };
    return {
      kind: 'image',
      mediaType,
      ...imageSchema.parse(document),
      elsewhere: new Set(elsewhere),
      ...(artifactType !== undefined && { artifactType }),
    };
  } catch (cause) {
    if (cause instanceof StorageError) throw new ImageError(`no manifest: ${cause.message}`, { cause });
    if (cause instanceof z.ZodError) throw new ImageError(`no manifest: ${z.prettifyError(cause)}`, { cause });
    throw cause;
  }
}

/** `linux/arm64/v8` */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

/** The platform that an image's config names; undefined where it names none. */
export function configPlatform(config: Uint8Array): Platform | undefined {
  try {
    return platform.safeParse(JSON.parse(Buffer.from(config).toString())).data;
  } catch {
    return undefined;
  }
}
