import type { Source } from '../block.ts';
import type { ImageFacts, ImageReference } from '../images.ts';
import type { ContainerFacts } from '../record.ts';
import { isDigest, parseImageName, type ImageName } from './image-name.ts';

/** What a line itself says of where it comes from. */
export interface Claims {
  readonly host?: string;
  readonly cluster?: string;
  readonly containerId?: string;
  readonly containerName?: string;
  readonly runtime?: string;
  /** The image as the user typed it. */
  readonly image?: string;
  /** `ImageFullID`. */
  readonly imageId?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Where a record comes from. */
export interface Origin {
  readonly host: string;
  readonly cluster: string;
  readonly container?: ContainerFacts;
  readonly source?: { readonly ip: string; readonly port: number };
}

/** What can be looked up of an image: its name says so by a digest, or Docker by the image's id. */
export function referenceOf({ image, imageId }: Claims): ImageReference | undefined {
  const { repository, digest } = image === undefined ? {} : parseImageName(image);
  const named = digest ?? imageId;
  return repository === undefined || repository === '' || named === undefined || !isDigest(named)
    ? undefined
    : { repository, digest: named };
}

/** What the configuration says of clusters. */
export interface ClusterRules {
  /** The cluster of records that name none, from senders of whom no rule says one. */
  readonly fallback: string;
  /** Clusters that rules give to some senders: nobody else can name them. */
  readonly reserved: Pick<ReadonlySet<string>, 'has'>;
}

/**
 * Where a record comes from. A cluster or host that the listener's rules or the token gave the sender holds against
 * what the line says, and no line can name a cluster that they give to others: a stranger could place lines in
 * another's. A digest is a manifest's only if the registry says so, or the image's name.
 */
export function originOf(claims: Claims, source: Source, clusters: ClusterRules, facts?: ImageFacts): Origin {
  const ip = source.peer && plainAddress(source.peer.address);
  const container = containerOf(claims, facts);
  const claimed = claims.cluster !== undefined && clusters.reserved.has(claims.cluster) ? undefined : claims.cluster;
  return {
    host: source.host ?? claims.host ?? ip ?? source.machine ?? 'unknown',
    cluster: source.cluster ?? claimed ?? clusters.fallback,
    ...(container && { container }),
    ...(source.peer && ip !== undefined && { source: { ip, port: source.peer.port } }),
  };
}

function containerOf(claims: Claims, facts: ImageFacts | undefined): ContainerFacts | undefined {
  const image = claims.image === undefined ? undefined : parseImageName(claims.image);
  const hashes = hashesOf(image, facts);
  const labels = claims.labels && facts ? { ...facts.labels, ...claims.labels } : (claims.labels ?? facts?.labels);
  const container: ContainerFacts = {
    ...(claims.containerId !== undefined && { id: claims.containerId }),
    ...(claims.containerName !== undefined && { name: claims.containerName }),
    ...(claims.runtime !== undefined && { runtime: claims.runtime }),
    ...(image && { imageName: image.name }),
    ...(image?.tag !== undefined && { imageTag: image.tag }),
    ...(image?.repository !== undefined && { repository: image.repository }),
    ...(hashes.length > 0 && { imageHashes: hashes }),
    ...(labels && Object.keys(labels).length > 0 && { labels }),
  };
  return Object.keys(container).length === 0 ? undefined : container;
}

function hashesOf(image: ImageName | undefined, facts: ImageFacts | undefined): readonly string[] {
  if (facts !== undefined) return facts.manifests;
  return image?.digest === undefined ? [] : [image.digest];
}

/** An address without a zone (`%eth0`), and an IPv4 one without the prefix that IPv6 sockets give it. */
export function plainAddress(address: string): string {
  const zone = address.indexOf('%');
  const plain = zone < 0 ? address : address.slice(0, zone);
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(plain) ? plain.slice(7) : plain;
}
