/** What names an image's content in a log line. */
export interface ImageReference {
  /** Repository without the registry's host: `team/web`. */
  readonly repository: string;
  /** A digest from the image's name, or `ImageFullID`: a config's, a manifest's or an index's. */
  readonly digest: string;
}

/** What the registry knows of an image. */
export interface ImageFacts {
  /** Digests of the manifests (or of the index) in that repository that the reference leads to. */
  readonly manifests: readonly string[];
  /** The image's labels; of an index only those on which all its children agree. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Asks the registry about an image; `undefined` where it knows nothing of it.
 * Rejects when it cannot tell at this moment.
 */
export type ImageLookup = (image: ImageReference, signal: AbortSignal) => Promise<ImageFacts | undefined>;
