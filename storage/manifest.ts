import { z } from 'zod';
import { type Digest, isDigest } from './digest.ts';
import { StorageError } from './errors.ts';
import { list, strings } from './first-issue.ts';

/** The largest manifest that is taken, in bytes (OCI distribution-spec, "Pushing Manifests"). */
export const manifestLimit = 4 * 1024 * 1024;

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';

/** Layers that a registry need not have, because their descriptor says where else they are. */
const elsewhere = new Set([
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
]);

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'expected a digest');

const descriptor = z.object({
  mediaType: z.string().min(1),
  digest,
  size: z.int().nonnegative(),
  urls: list(z.string()).optional(),
});

const common = {
  schemaVersion: z.literal(2),
  artifactType: z.string().optional(),
  subject: descriptor.optional(),
  annotations: strings.optional(),
};

const image = z.object({
  ...common,
  mediaType: z.enum([ociManifest, dockerManifest]).default(ociManifest),
  config: descriptor,
  layers: list(descriptor),
});

const index = z.object({
  ...common,
  mediaType: z.enum([ociIndex, dockerList]).default(ociIndex),
  manifests: list(descriptor),
});

/** What the store wants to know of a manifest. */
export interface Manifest {
  readonly mediaType: string;
  /** Of an image. */
  readonly config?: Digest;
  /** Blobs that must be there: config and layers of an image. */
  readonly blobs: readonly Digest[];
  /** Manifests (or, in build caches, layers) that an index lists. */
  readonly children: readonly Digest[];
  /** Layers that are not here, as their descriptors say where else they are. */
  readonly elsewhere: readonly Digest[];
  readonly subject?: Digest;
  /** What the manifest is of, for lists of referrers (OCI distribution-spec, "Listing Referrers"). */
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Reads an OCI image manifest or index (image-spec), or a schema 2 manifest or list of Docker's. What it is, the bytes
 * alone decide; anything that another reader could take for something else is refused.
 * @throws {StorageError} MANIFEST_INVALID
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const document = parseObject(bytes);
  const manifest = 'manifests' in document ? asIndex(document) : asImage(document);
  const [said = ''] = (contentType ?? '').split(';');
  if (said.trim() !== '' && said.trim().toLowerCase() !== manifest.mediaType) {
    throw invalid(`the Content-Type says ${said.trim()}, the document is ${manifest.mediaType}`);
  }
  return manifest;
}

/** The media type of a manifest that is stored already, perhaps by a registry that took what this one does not. */
export function storedMediaType(bytes: Uint8Array): string {
  try {
    return parseManifest(bytes).mediaType;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return 'application/octet-stream';
  }
}

function asImage(document: object): Manifest {
  const { config, layers, ...rest } = check(image, document);
  const isElsewhere = (layer: z.output<typeof descriptor>): boolean =>
    elsewhere.has(layer.mediaType) && (layer.urls ?? []).length > 0;
  return {
    ...described({ ...rest, artifactType: rest.artifactType || config.mediaType }),
    config: config.digest,
    blobs: unique([config, ...layers.filter((layer) => !isElsewhere(layer))]),
    children: [],
    elsewhere: unique(layers.filter(isElsewhere)),
  };
}

function asIndex(document: object): Manifest {
  if ('layers' in document || 'config' in document) throw invalid('it has manifests, and layers or config too');
  const { manifests, ...rest } = check(index, document);
  return { ...described(rest), blobs: [], children: unique(manifests), elsewhere: [] };
}

/** What images and indexes say alike. */
function described({
  mediaType,
  artifactType,
  subject,
  annotations,
}: {
  mediaType: string;
  artifactType?: string | undefined;
  subject?: { digest: Digest } | undefined;
  annotations?: Record<string, string> | undefined;
}): Pick<Manifest, 'mediaType' | 'artifactType' | 'subject' | 'annotations'> {
  return {
    mediaType,
    ...(artifactType && { artifactType }),
    ...(subject && { subject: subject.digest }),
    ...(annotations && { annotations }),
  };
}

function unique(descriptors: readonly { digest: Digest }[]): Digest[] {
  return [...new Set(descriptors.map(({ digest }) => digest))];
}

function check<T>(schema: z.ZodType<T>, document: object): T {
  const { success, data, error } = schema.safeParse(document);
  if (success) return data;
  const [issue] = error.issues;
  throw invalid(issue === undefined ? error.message : `${issue.path.join('.')}: ${issue.message}`);
}

const meaningful = [
  'schemaVersion',
  'mediaType',
  'config',
  'layers',
  'manifests',
  'subject',
  'artifactType',
  'fsLayers',
];
const spelling = new Map(meaningful.map((key) => [fold(key), key]));

function parseObject(bytes: Uint8Array): object {
  const document = parseJson(bytes);
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw invalid('it is no object');
  for (const key of Object.keys(document)) {
    // Go's decoder takes `Layers` for `layers`.
    if ((spelling.get(fold(key)) ?? key) !== key) throw invalid(`the key ${JSON.stringify(key)} is ambiguous`);
  }
  if ('fsLayers' in document) throw invalid('schema 1 is not supported');
  return document;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw invalid(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A key as Go's decoder compares it: all cases alike, and the two letters beyond ASCII that fold into it. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}

function invalid(message: string): StorageError {
  return new StorageError('MANIFEST_INVALID', message);
}
